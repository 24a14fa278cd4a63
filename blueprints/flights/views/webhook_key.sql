-- Signs what the worker sends into the sources. The value is in secrets/webhook_key; with psql: -v webhook_key="$(cat secrets/webhook_key)"
CREATE SECRET webhook_key AS :'webhook_key';
