-- The messages of the stream disk as they came; pipeline disk fills it.
CREATE SOURCE disk_raw FROM WEBHOOK
  BODY FORMAT JSON
  CHECK (
    WITH (HEADERS, BODY AS body, SECRET webhook_key AS key)
    constant_time_eq(decode(headers->'x-signature', 'base64'), hmac(body, key, 'sha256'))
  );
