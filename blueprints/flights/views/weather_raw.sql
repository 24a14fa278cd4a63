-- The messages of the stream weather as they came; pipeline weather fills it.
CREATE SOURCE weather_raw FROM WEBHOOK
  BODY FORMAT JSON
  CHECK (
    WITH (HEADERS, BODY AS body, SECRET webhook_key AS key)
    constant_time_eq(decode(headers->'x-signature', 'base64'), hmac(body, key, 'sha256'))
  );
