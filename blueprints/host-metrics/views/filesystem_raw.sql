-- The messages of the stream filesystem as they came; pipeline filesystem fills it.
CREATE SOURCE filesystem_raw FROM WEBHOOK
  BODY FORMAT JSON
  CHECK (
    WITH (HEADERS, BODY AS body, SECRET webhook_key AS key)
    constant_time_eq(decode(headers->'x-signature', 'base64'), hmac(body, key, 'sha256'))
  );
