-- The messages of the stream cpu as they came; pipeline cpu fills it.
CREATE SOURCE cpu_raw FROM WEBHOOK
  BODY FORMAT JSON
  CHECK (
    WITH (HEADERS, BODY AS body, SECRET webhook_key AS key)
    constant_time_eq(decode(headers->'x-signature', 'base64'), hmac(body, key, 'sha256'))
  );
