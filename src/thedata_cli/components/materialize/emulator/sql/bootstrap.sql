-- What a new data directory starts with: the emulator's own state, and the types and functions of Materialize that
-- PostgreSQL lacks. `mz_emulator` holds the rows of sources and materialized views; clients are allowed
-- to read those, as subscriptions do, and nothing else in it.
-- Roles belong to all databases; one that was set aside has it already.
DO $$ BEGIN CREATE ROLE materialize LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$;
CREATE SCHEMA mz_emulator;
CREATE SCHEMA mz_catalog;
CREATE SCHEMA mz_internal;
CREATE SCHEMA mz_introspection;
CREATE SCHEMA mz_unsafe;
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
GRANT USAGE ON SCHEMA public, mz_catalog, mz_internal, mz_introspection, mz_emulator TO materialize;
ALTER DATABASE materialize SET search_path = public, mz_catalog, pg_catalog;
CREATE EXTENSION hstore SCHEMA mz_catalog;

CREATE TABLE mz_emulator.instance (format integer NOT NULL, environment_id uuid NOT NULL DEFAULT gen_random_uuid(), frontier bigint NOT NULL);
CREATE SEQUENCE mz_emulator.ids;
CREATE SEQUENCE mz_emulator.cluster_ids START 2;
CREATE TABLE mz_emulator.clusters (
    id text PRIMARY KEY, name text UNIQUE NOT NULL, size text, replication_factor integer NOT NULL, options jsonb NOT NULL DEFAULT '{}'
);
INSERT INTO mz_emulator.clusters VALUES
    ('u1', 'quickstart', '25cc', 1), ('s1', 'mz_system', '25cc', 1), ('s2', 'mz_catalog_server', '25cc', 1);
CREATE TABLE mz_emulator.objects (
    id text PRIMARY KEY,
    kind text NOT NULL,
    schema_name text NOT NULL,
    name text NOT NULL,
    cluster_id text REFERENCES mz_emulator.clusters,
    relation oid,
    on_id text,
    definition jsonb NOT NULL DEFAULT '{}',
    create_sql text NOT NULL,
    retain_ms bigint,
    created_ms bigint NOT NULL,
    error text,
    error_code text,
    error_detail text,
    is_temporary boolean NOT NULL DEFAULT false
);
CREATE UNIQUE INDEX ON mz_emulator.objects (schema_name, name) WHERE NOT is_temporary;
CREATE TABLE mz_emulator.references (id text NOT NULL REFERENCES mz_emulator.objects ON DELETE CASCADE, on_id text NOT NULL);
CREATE TABLE mz_emulator.secrets (id text PRIMARY KEY REFERENCES mz_emulator.objects ON DELETE CASCADE, value bytea NOT NULL);
CREATE TABLE mz_emulator.comments (
    id text NOT NULL, object_type text NOT NULL, object_sub_id integer, comment text NOT NULL,
    -- A cluster and an object may have the same id.
    UNIQUE NULLS NOT DISTINCT (object_type, id, object_sub_id)
);
CREATE TABLE mz_emulator.received (id text PRIMARY KEY, messages bigint NOT NULL, bytes bigint NOT NULL);

-- The name of a view's column is what a client reads in an error, so the function raises its argument as it is.
CREATE FUNCTION mz_catalog.mz_raise(message text, code text, detail text DEFAULT '') RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN RAISE EXCEPTION USING MESSAGE = message, ERRCODE = code, DETAIL = detail; END $$;

-- What a client reads of a materialized view asks this first. Its answer is of the snapshot of the query, and telling that a
-- view cannot be computed locks nothing, so that it need not wait for those who read the view.
CREATE FUNCTION mz_emulator.is_computed(view text) RETURNS boolean LANGUAGE plpgsql STABLE SECURITY DEFINER AS $$
DECLARE fault record;
BEGIN
    SELECT error, error_code, error_detail INTO fault FROM mz_emulator.objects WHERE id = view AND error IS NOT NULL;
    IF FOUND THEN RAISE EXCEPTION USING MESSAGE = fault.error, ERRCODE = fault.error_code, DETAIL = coalesce(fault.error_detail, ''); END IF;
    RETURN true;
END $$;

CREATE DOMAIN mz_catalog.uint2 AS integer CHECK (VALUE BETWEEN 0 AND 65535);
CREATE DOMAIN mz_catalog.uint4 AS bigint CHECK (VALUE BETWEEN 0 AND 4294967295);
CREATE DOMAIN mz_catalog.uint8 AS numeric(20, 0) CHECK (VALUE BETWEEN 0 AND 18446744073709551615);
CREATE DOMAIN mz_catalog.double AS double precision;
CREATE DOMAIN mz_catalog.string AS text;
CREATE DOMAIN mz_catalog.bytes AS bytea;

CREATE TYPE mz_catalog.mz_timestamp;
CREATE FUNCTION mz_catalog.mz_timestamp_in(cstring) RETURNS mz_catalog.mz_timestamp LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'int8in';
CREATE FUNCTION mz_catalog.mz_timestamp_out(mz_catalog.mz_timestamp) RETURNS cstring LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'int8out';
CREATE FUNCTION mz_catalog.mz_timestamp_recv(internal) RETURNS mz_catalog.mz_timestamp LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'int8recv';
CREATE FUNCTION mz_catalog.mz_timestamp_send(mz_catalog.mz_timestamp) RETURNS bytea LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'int8send';
CREATE TYPE mz_catalog.mz_timestamp (
    INPUT = mz_catalog.mz_timestamp_in, OUTPUT = mz_catalog.mz_timestamp_out,
    RECEIVE = mz_catalog.mz_timestamp_recv, SEND = mz_catalog.mz_timestamp_send, LIKE = bigint
);
CREATE FUNCTION mz_catalog.mz_timestamp_eq(mz_catalog.mz_timestamp, mz_catalog.mz_timestamp) RETURNS boolean LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'int8eq';
CREATE FUNCTION mz_catalog.mz_timestamp_ne(mz_catalog.mz_timestamp, mz_catalog.mz_timestamp) RETURNS boolean LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'int8ne';
CREATE FUNCTION mz_catalog.mz_timestamp_lt(mz_catalog.mz_timestamp, mz_catalog.mz_timestamp) RETURNS boolean LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'int8lt';
CREATE FUNCTION mz_catalog.mz_timestamp_le(mz_catalog.mz_timestamp, mz_catalog.mz_timestamp) RETURNS boolean LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'int8le';
CREATE FUNCTION mz_catalog.mz_timestamp_gt(mz_catalog.mz_timestamp, mz_catalog.mz_timestamp) RETURNS boolean LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'int8gt';
CREATE FUNCTION mz_catalog.mz_timestamp_ge(mz_catalog.mz_timestamp, mz_catalog.mz_timestamp) RETURNS boolean LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'int8ge';
CREATE FUNCTION mz_catalog.mz_timestamp_cmp(mz_catalog.mz_timestamp, mz_catalog.mz_timestamp) RETURNS integer LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'btint8cmp';
CREATE FUNCTION mz_catalog.mz_timestamp_hash(mz_catalog.mz_timestamp) RETURNS integer LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'hashint8';
CREATE FUNCTION mz_catalog.mz_timestamp_hash_extended(mz_catalog.mz_timestamp, bigint) RETURNS bigint LANGUAGE internal IMMUTABLE STRICT PARALLEL SAFE AS 'hashint8extended';
CREATE OPERATOR mz_catalog.= (LEFTARG = mz_catalog.mz_timestamp, RIGHTARG = mz_catalog.mz_timestamp, FUNCTION = mz_catalog.mz_timestamp_eq, COMMUTATOR = OPERATOR(mz_catalog.=), NEGATOR = OPERATOR(mz_catalog.<>), RESTRICT = eqsel, JOIN = eqjoinsel, HASHES, MERGES);
CREATE OPERATOR mz_catalog.<> (LEFTARG = mz_catalog.mz_timestamp, RIGHTARG = mz_catalog.mz_timestamp, FUNCTION = mz_catalog.mz_timestamp_ne, COMMUTATOR = OPERATOR(mz_catalog.<>), RESTRICT = neqsel, JOIN = neqjoinsel);
CREATE OPERATOR mz_catalog.< (LEFTARG = mz_catalog.mz_timestamp, RIGHTARG = mz_catalog.mz_timestamp, FUNCTION = mz_catalog.mz_timestamp_lt, COMMUTATOR = OPERATOR(mz_catalog.>), NEGATOR = OPERATOR(mz_catalog.>=), RESTRICT = scalarltsel, JOIN = scalarltjoinsel);
CREATE OPERATOR mz_catalog.<= (LEFTARG = mz_catalog.mz_timestamp, RIGHTARG = mz_catalog.mz_timestamp, FUNCTION = mz_catalog.mz_timestamp_le, COMMUTATOR = OPERATOR(mz_catalog.>=), NEGATOR = OPERATOR(mz_catalog.>), RESTRICT = scalarlesel, JOIN = scalarlejoinsel);
CREATE OPERATOR mz_catalog.> (LEFTARG = mz_catalog.mz_timestamp, RIGHTARG = mz_catalog.mz_timestamp, FUNCTION = mz_catalog.mz_timestamp_gt, RESTRICT = scalargtsel, JOIN = scalargtjoinsel);
CREATE OPERATOR mz_catalog.>= (LEFTARG = mz_catalog.mz_timestamp, RIGHTARG = mz_catalog.mz_timestamp, FUNCTION = mz_catalog.mz_timestamp_ge, RESTRICT = scalargesel, JOIN = scalargejoinsel);
CREATE OPERATOR CLASS mz_catalog.mz_timestamp_ops DEFAULT FOR TYPE mz_catalog.mz_timestamp USING btree AS
    OPERATOR 1 mz_catalog.<, OPERATOR 2 mz_catalog.<=, OPERATOR 3 mz_catalog.=, OPERATOR 4 mz_catalog.>=, OPERATOR 5 mz_catalog.>,
    FUNCTION 1 mz_catalog.mz_timestamp_cmp(mz_catalog.mz_timestamp, mz_catalog.mz_timestamp);
CREATE OPERATOR CLASS mz_catalog.mz_timestamp_hash_ops DEFAULT FOR TYPE mz_catalog.mz_timestamp USING hash AS
    OPERATOR 1 mz_catalog.=,
    FUNCTION 1 mz_catalog.mz_timestamp_hash(mz_catalog.mz_timestamp),
    FUNCTION 2 mz_catalog.mz_timestamp_hash_extended(mz_catalog.mz_timestamp, bigint);
CREATE CAST (bigint AS mz_catalog.mz_timestamp) WITHOUT FUNCTION AS IMPLICIT;
CREATE CAST (mz_catalog.mz_timestamp AS bigint) WITHOUT FUNCTION;
CREATE FUNCTION mz_catalog.mz_timestamp(integer) RETURNS mz_catalog.mz_timestamp LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$ SELECT $1::bigint::mz_catalog.mz_timestamp $$;
CREATE FUNCTION mz_catalog.mz_timestamp(numeric) RETURNS mz_catalog.mz_timestamp LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$ SELECT $1::bigint::mz_catalog.mz_timestamp $$;
CREATE FUNCTION mz_catalog.mz_timestamp(timestamptz) RETURNS mz_catalog.mz_timestamp LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$ SELECT floor(extract(epoch FROM $1) * 1000)::bigint::mz_catalog.mz_timestamp $$;
CREATE FUNCTION mz_catalog.mz_timestamp(timestamp) RETURNS mz_catalog.mz_timestamp LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$ SELECT floor(extract(epoch FROM $1) * 1000)::bigint::mz_catalog.mz_timestamp $$;
CREATE FUNCTION mz_catalog.mz_timestamp(date) RETURNS mz_catalog.mz_timestamp LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$ SELECT (extract(epoch FROM $1) * 1000)::bigint::mz_catalog.mz_timestamp $$;
CREATE FUNCTION mz_catalog.timestamptz(mz_catalog.mz_timestamp) RETURNS timestamptz LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$ SELECT to_timestamp($1::bigint / 1000.0) $$;
CREATE FUNCTION mz_catalog."timestamp"(mz_catalog.mz_timestamp) RETURNS timestamp LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$ SELECT timestamp '1970-01-01' + ($1::bigint / 1000.0) * interval '1 second' $$;
CREATE CAST (integer AS mz_catalog.mz_timestamp) WITH FUNCTION mz_catalog.mz_timestamp(integer) AS IMPLICIT;
CREATE CAST (numeric AS mz_catalog.mz_timestamp) WITH FUNCTION mz_catalog.mz_timestamp(numeric) AS IMPLICIT;
CREATE CAST (timestamptz AS mz_catalog.mz_timestamp) WITH FUNCTION mz_catalog.mz_timestamp(timestamptz) AS IMPLICIT;
CREATE CAST (timestamp AS mz_catalog.mz_timestamp) WITH FUNCTION mz_catalog.mz_timestamp(timestamp) AS IMPLICIT;
CREATE CAST (date AS mz_catalog.mz_timestamp) WITH FUNCTION mz_catalog.mz_timestamp(date) AS IMPLICIT;
CREATE CAST (mz_catalog.mz_timestamp AS timestamptz) WITH FUNCTION mz_catalog.timestamptz(mz_catalog.mz_timestamp);
CREATE CAST (mz_catalog.mz_timestamp AS timestamp) WITH FUNCTION mz_catalog."timestamp"(mz_catalog.mz_timestamp);

CREATE FUNCTION mz_catalog.mz_now() RETURNS mz_catalog.mz_timestamp LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT coalesce(nullif(current_setting('mz_emulator.now', true), ''), floor(extract(epoch FROM now()) * 1000)::bigint::text)::bigint::mz_catalog.mz_timestamp
$$;
CREATE FUNCTION mz_catalog.mz_environment_id() RETURNS text LANGUAGE sql STABLE SECURITY DEFINER AS $$
    SELECT 'thedata-emulator-' || environment_id || '-0' FROM mz_emulator.instance
$$;
CREATE FUNCTION mz_catalog.mz_uptime() RETURNS interval LANGUAGE sql STABLE AS $$ SELECT now() - pg_postmaster_start_time() $$;
CREATE FUNCTION mz_catalog.mz_is_superuser() RETURNS boolean LANGUAGE sql IMMUTABLE AS $$ SELECT true $$;
CREATE FUNCTION mz_catalog.try_parse_monotonic_iso8601_timestamp(text) RETURNS timestamp LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE WHEN $1 ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$' AND pg_input_is_valid($1, 'timestamp') THEN $1::timestamp END
$$;
CREATE FUNCTION mz_catalog.constant_time_eq(bytea, bytea) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$ SELECT $1 = $2 $$;
CREATE FUNCTION mz_catalog.constant_time_eq(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$ SELECT $1 = $2 $$;
CREATE FUNCTION mz_catalog.digest(data bytea, type text) RETURNS bytea LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
BEGIN
    RETURN CASE type WHEN 'md5' THEN decode(md5(data), 'hex') WHEN 'sha224' THEN sha224(data) WHEN 'sha256' THEN sha256(data)
        WHEN 'sha384' THEN sha384(data) WHEN 'sha512' THEN sha512(data) END;
END $$;
CREATE FUNCTION mz_catalog.digest(data text, type text) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$ SELECT mz_catalog.digest(convert_to($1, 'UTF8'), $2) $$;
CREATE FUNCTION mz_catalog.hmac(data bytea, key bytea, type text) RETURNS bytea LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $$
DECLARE
    block integer := CASE WHEN type IN ('sha384', 'sha512') THEN 128 ELSE 64 END;
    inner_pad bytea;
    outer_pad bytea;
BEGIN
    IF type NOT IN ('md5', 'sha224', 'sha256', 'sha384', 'sha512') THEN
        RAISE EXCEPTION USING ERRCODE = '0A000', MESSAGE = format('the Materialize emulator does not support the hash %L in hmac', type);
    END IF;
    IF length(key) > block THEN key := mz_catalog.digest(key, type); END IF;
    key := key || decode(repeat('00', block - length(key)), 'hex');
    inner_pad := key;
    outer_pad := key;
    FOR at IN 0 .. block - 1 LOOP
        inner_pad := set_byte(inner_pad, at, get_byte(key, at) # 54);
        outer_pad := set_byte(outer_pad, at, get_byte(key, at) # 92);
    END LOOP;
    RETURN mz_catalog.digest(outer_pad || mz_catalog.digest(inner_pad || data, type), type);
END $$;
CREATE FUNCTION mz_catalog.hmac(data text, key text, type text) RETURNS bytea LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT mz_catalog.hmac(convert_to($1, 'UTF8'), convert_to($2, 'UTF8'), $3)
$$;
CREATE FUNCTION mz_catalog.map_length(mz_catalog.hstore) RETURNS integer LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$ SELECT cardinality(mz_catalog.akeys($1)) $$;
CREATE FUNCTION mz_catalog.regexp_extract(text, text) RETURNS text[] LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$ SELECT regexp_match($2, $1) $$;
CREATE FUNCTION mz_catalog.datediff(unit text, start timestamp, "end" timestamp) RETURNS bigint LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE AS $$
    SELECT CASE lower($1)
        WHEN 'year' THEN extract(year FROM $3) - extract(year FROM $2)
        WHEN 'quarter' THEN (extract(year FROM $3) - extract(year FROM $2)) * 4 + extract(quarter FROM $3) - extract(quarter FROM $2)
        WHEN 'month' THEN (extract(year FROM $3) - extract(year FROM $2)) * 12 + extract(month FROM $3) - extract(month FROM $2)
        WHEN 'day' THEN $3::date - $2::date
        WHEN 'hour' THEN (extract(epoch FROM date_trunc('hour', $3)) - extract(epoch FROM date_trunc('hour', $2))) / 3600
        WHEN 'minute' THEN (extract(epoch FROM date_trunc('minute', $3)) - extract(epoch FROM date_trunc('minute', $2))) / 60
        WHEN 'second' THEN floor(extract(epoch FROM $3)) - floor(extract(epoch FROM $2))
        WHEN 'millisecond' THEN floor(extract(epoch FROM $3) * 1000) - floor(extract(epoch FROM $2) * 1000)
    END::bigint
$$;

-- Statement triggers of every table: what a statement changed waits in `<id>_pending` until the maintainer gives it a time.
CREATE FUNCTION mz_emulator.record_insert() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN EXECUTE format('INSERT INTO mz_emulator.%I SELECT 1, rows_new.* FROM rows_new', TG_ARGV[0]); RETURN NULL; END $$;
CREATE FUNCTION mz_emulator.record_delete() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN EXECUTE format('INSERT INTO mz_emulator.%I SELECT -1, rows_old.* FROM rows_old', TG_ARGV[0]); RETURN NULL; END $$;
CREATE FUNCTION mz_emulator.record_update() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
BEGIN
    EXECUTE format('INSERT INTO mz_emulator.%I SELECT 1, rows_new.* FROM rows_new UNION ALL SELECT -1, rows_old.* FROM rows_old', TG_ARGV[0]);
    RETURN NULL;
END $$;
