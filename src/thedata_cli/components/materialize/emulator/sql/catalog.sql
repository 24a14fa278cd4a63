-- The relations of `mz_catalog` and `mz_internal` that clients read, as views over the emulator's state.
ALTER TABLE mz_emulator.instance ADD COLUMN http_url text NOT NULL DEFAULT '';

CREATE VIEW mz_emulator.schemas AS
    SELECT CASE n.nspname WHEN 'public' THEN 'u1' WHEN 'pg_catalog' THEN 's1' WHEN 'mz_catalog' THEN 's2' WHEN 'mz_internal' THEN 's3'
               WHEN 'mz_introspection' THEN 's4' WHEN 'information_schema' THEN 's5' WHEN 'mz_unsafe' THEN 's6' ELSE 'u' || n.oid END AS id,
           n.oid, CASE WHEN n.nspname LIKE ANY ('{pg\_%,mz\_%,information\_schema}') THEN NULL ELSE 'u1' END AS database_id, n.nspname::text AS name
    FROM pg_catalog.pg_namespace n WHERE n.nspname NOT IN ('mz_emulator', 'pg_toast') AND n.nspname NOT LIKE 'pg\_temp%' AND n.nspname NOT LIKE 'pg\_toast\_temp%';
CREATE VIEW mz_emulator.items AS
    SELECT o.*, s.id AS schema_id, coalesce(o.relation, substr(o.id, 2)::oid) AS oid,
           regexp_replace(o.create_sql, ' AS ''.*$', ' AS ''<REDACTED>''') AS redacted_create_sql
    FROM mz_emulator.objects o JOIN mz_emulator.schemas s ON s.name = o.schema_name WHERE NOT o.is_temporary;

CREATE VIEW mz_catalog.mz_databases AS
    SELECT 'u1' AS id, d.oid, d.datname::text AS name, 's1' AS owner_id, NULL::text[] AS privileges FROM pg_catalog.pg_database d WHERE d.datname = current_database();
CREATE VIEW mz_catalog.mz_schemas AS
    SELECT id, oid, database_id, name, 's1' AS owner_id, NULL::text[] AS privileges FROM mz_emulator.schemas;
CREATE VIEW mz_catalog.mz_roles AS SELECT 's1' AS id, r.oid, r.rolname::text AS name, true AS inherit FROM pg_catalog.pg_roles r WHERE r.rolname IN ('mz_system', 'materialize');
CREATE VIEW mz_catalog.mz_clusters AS
    SELECT id, name, 's1' AS owner_id, NULL::text[] AS privileges, true AS managed, size, replication_factor::mz_catalog.uint4 AS replication_factor,
           true AS disk, NULL::text[] AS availability_zones, false AS introspection_debugging, interval '1 second' AS introspection_interval
    FROM mz_emulator.clusters;
CREATE VIEW mz_catalog.mz_cluster_replicas AS
    SELECT c.id || '-' || n AS id, 'r' || n AS name, c.id AS cluster_id, c.size, NULL::text AS availability_zone, 's1' AS owner_id, true AS disk
    FROM mz_emulator.clusters c, generate_series(1, c.replication_factor) n;
CREATE VIEW mz_catalog.mz_objects AS
    SELECT id, oid, schema_id, name, kind AS type, 's1' AS owner_id, cluster_id, NULL::text[] AS privileges FROM mz_emulator.items;
CREATE VIEW mz_catalog.mz_relations AS
    SELECT * FROM mz_catalog.mz_objects WHERE type IN ('table', 'source', 'view', 'materialized-view');
CREATE VIEW mz_catalog.mz_sources AS
    SELECT id, oid, schema_id, name, 'webhook' AS type, NULL::text AS connection_id, NULL::text AS size, NULL::text AS envelope_type, NULL::text AS key_format,
           definition->>'body_format' AS value_format, cluster_id, 's1' AS owner_id, NULL::text[] AS privileges, create_sql, redacted_create_sql
    FROM mz_emulator.items WHERE kind = 'source';
CREATE VIEW mz_catalog.mz_tables AS
    SELECT id, oid, schema_id, name, 's1' AS owner_id, NULL::text[] AS privileges, create_sql, redacted_create_sql, NULL::text AS source_id
    FROM mz_emulator.items WHERE kind = 'table';
CREATE VIEW mz_catalog.mz_views AS
    SELECT id, oid, schema_id, name, definition->>'query' AS definition, 's1' AS owner_id, NULL::text[] AS privileges, create_sql, redacted_create_sql
    FROM mz_emulator.items WHERE kind = 'view';
CREATE VIEW mz_catalog.mz_materialized_views AS
    SELECT id, oid, schema_id, name, cluster_id, definition->>'query' AS definition, 's1' AS owner_id, NULL::text[] AS privileges, create_sql, redacted_create_sql
    FROM mz_emulator.items WHERE kind = 'materialized-view';
CREATE VIEW mz_catalog.mz_indexes AS
    SELECT id, oid, name, on_id, cluster_id, 's1' AS owner_id, create_sql, redacted_create_sql FROM mz_emulator.items WHERE kind = 'index';
CREATE VIEW mz_catalog.mz_index_columns AS
    SELECT i.id AS index_id, k.position::mz_catalog.uint8 AS index_position, a.attnum::mz_catalog.uint8 AS on_position,
           CASE WHEN a.attnum IS NULL THEN k.expression END AS on_expression, coalesce(NOT a.attnotnull, true) AS nullable
    FROM mz_emulator.items i JOIN mz_emulator.objects o ON o.id = i.on_id
    CROSS JOIN LATERAL jsonb_array_elements_text(i.definition->'keys') WITH ORDINALITY AS k(expression, position)
    LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = o.relation AND a.attname = k.expression WHERE i.kind = 'index';
CREATE VIEW mz_catalog.mz_secrets AS
    SELECT id, oid, schema_id, name, 's1' AS owner_id, NULL::text[] AS privileges FROM mz_emulator.items WHERE kind = 'secret';
CREATE VIEW mz_catalog.mz_connections AS
    SELECT id, oid, schema_id, name, kind AS type, 's1' AS owner_id, NULL::text[] AS privileges, create_sql, redacted_create_sql FROM mz_emulator.items WHERE false;
CREATE VIEW mz_catalog.mz_sinks AS
    SELECT id, oid, schema_id, name, kind AS type, NULL::text AS connection_id, NULL::text AS size, NULL::text AS envelope_type, cluster_id, 's1' AS owner_id, create_sql, redacted_create_sql
    FROM mz_emulator.items WHERE false;
CREATE VIEW mz_catalog.mz_columns AS
    SELECT i.id, a.attname::text AS name, a.attnum::mz_catalog.uint8 AS "position",
           NOT (a.attnotnull OR coalesce(i.definition->'not_null', '[]') ? a.attname::text) AS nullable,
           CASE WHEN a.atttypid = 'mz_catalog.hstore'::regtype THEN 'map' ELSE regexp_replace(format_type(a.atttypid, NULL), '^mz_catalog\.', '') END AS type,
           pg_get_expr(d.adbin, d.adrelid) AS "default", a.atttypid AS type_oid, a.atttypmod AS type_mod
    FROM mz_emulator.items i JOIN pg_catalog.pg_attribute a ON a.attrelid = i.relation AND a.attnum > 0 AND NOT a.attisdropped
    LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum;

CREATE VIEW mz_internal.mz_object_dependencies AS
    SELECT r.id AS object_id, r.on_id AS referenced_object_id FROM mz_emulator.references r JOIN mz_emulator.items USING (id);
CREATE VIEW mz_internal.mz_comments AS
    SELECT id, object_type, object_sub_id, comment FROM mz_emulator.comments;
CREATE VIEW mz_internal.mz_object_fully_qualified_names AS
    SELECT id, name, kind AS object_type, schema_id, schema_name, 'u1' AS database_id, current_database()::text AS database_name, cluster_id FROM mz_emulator.items;
CREATE VIEW mz_internal.mz_webhook_sources AS
    SELECT i.id, i.name, s.http_url || '/api/webhook/' || current_database() || '/' || i.schema_name || '/' || i.name AS url
    FROM mz_emulator.items i, mz_emulator.instance s WHERE i.definition ? 'body_format';
CREATE VIEW mz_internal.mz_hydration_statuses AS
    SELECT i.id AS object_id, i.cluster_id || '-1' AS replica_id, i.error IS NULL AS hydrated FROM mz_emulator.items i
    WHERE i.kind IN ('source', 'materialized-view', 'index');
CREATE VIEW mz_internal.mz_compute_hydration_statuses AS
    SELECT h.*, interval '0' AS hydration_time FROM mz_internal.mz_hydration_statuses h JOIN mz_emulator.items i ON i.id = h.object_id WHERE i.kind <> 'source';
CREATE VIEW mz_internal.mz_source_statuses AS
    SELECT id, name, 'webhook' AS type, to_timestamp(created_ms / 1000.0) AS last_status_change_at, 'running' AS status, NULL::text AS error, NULL::jsonb AS details
    FROM mz_emulator.items WHERE kind = 'source';
CREATE VIEW mz_internal.mz_source_statistics AS
    SELECT i.id, i.cluster_id || '-1' AS replica_id, coalesce(r.messages, 0)::mz_catalog.uint8 AS messages_received, coalesce(r.bytes, 0)::mz_catalog.uint8 AS bytes_received,
           true AS snapshot_committed
    FROM mz_emulator.items i LEFT JOIN mz_emulator.received r USING (id) WHERE i.kind = 'source';
CREATE VIEW mz_internal.mz_frontiers AS
    SELECT i.id AS object_id, i.created_ms::mz_catalog.mz_timestamp AS read_frontier, s.frontier::mz_catalog.mz_timestamp AS write_frontier
    FROM mz_emulator.items i, mz_emulator.instance s WHERE i.kind IN ('table', 'source', 'materialized-view', 'index');
CREATE VIEW mz_internal.mz_wallclock_global_lag AS
    SELECT i.id AS object_id, greatest(interval '0', clock_timestamp() - to_timestamp(s.frontier / 1000.0)) AS lag
    FROM mz_emulator.items i, mz_emulator.instance s WHERE i.kind IN ('table', 'source', 'materialized-view', 'index');
CREATE VIEW mz_internal.mz_history_retention_strategies AS
    SELECT id, 'FOR' AS strategy, to_jsonb(coalesce(retain_ms, 1000)) AS value FROM mz_emulator.items WHERE kind IN ('table', 'source', 'materialized-view', 'index');
-- Materialize has no such relation: which views cannot be computed, and why.
CREATE VIEW mz_internal.mz_emulator_errors AS
    SELECT id AS object_id, name, error, error_detail AS detail FROM mz_emulator.items WHERE error IS NOT NULL;

GRANT SELECT ON ALL TABLES IN SCHEMA mz_catalog, mz_internal TO materialize;
