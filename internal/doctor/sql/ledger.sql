-- The ledger's schema as the catalogs know it. Indexes: pg_namespace_nspname_index, pg_class_relname_nsp_index.
select jsonb_build_object(
  'exists', true,
  'usage', pg_catalog.has_schema_privilege(n.oid, 'usage'),
  'tables', (select count(*) from pg_catalog.pg_class c where c.relnamespace = n.oid and c.relkind in ('r', 'p')),
  'closed', (
    select coalesce(jsonb_agg(c.relname order by c.relname), '[]')
    from pg_catalog.pg_class c
    where c.relnamespace = n.oid and c.relkind in ('r', 'p') and not c.relispartition and c.relname <> 'migration'
      and not (pg_catalog.has_table_privilege(c.oid, 'select') and pg_catalog.has_table_privilege(c.oid, 'insert')
        and pg_catalog.has_table_privilege(c.oid, 'update') and pg_catalog.has_table_privilege(c.oid, 'delete'))),
  'functions', (
    select coalesce(jsonb_agg(p.proname order by p.proname), '[]')
    from pg_catalog.pg_proc p
    where p.pronamespace = n.oid and not pg_catalog.has_function_privilege(p.oid, 'execute')),
  'bytes', (
    select coalesce(sum(c.relpages::bigint), 0) * current_setting('block_size')::bigint
    from pg_catalog.pg_class c where c.relnamespace = n.oid),
  'days', (
    select coalesce(jsonb_agg(substr(c.relname, 9) order by c.relname), '[]')
    from pg_catalog.pg_class c
    where c.relnamespace = n.oid and c.relname ~ '^attempt_[0-9]{8}$'),
  'today', to_char(pg_catalog.now() at time zone 'UTC', 'YYYYMMDD')
)
from pg_catalog.pg_namespace n
where n.nspname = 'walpost'
