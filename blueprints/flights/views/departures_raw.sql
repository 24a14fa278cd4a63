-- The messages of the stream departures as they came; pipeline departures fills it.
CREATE SOURCE departures_raw FROM WEBHOOK
  BODY FORMAT JSON
  CHECK (
    WITH (HEADERS, BODY AS body, SECRET webhook_key AS key)
    constant_time_eq(decode(headers->'x-signature', 'base64'), hmac(body, key, 'sha256'))
  );
