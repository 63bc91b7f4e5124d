-- The outbox table, all that the catalogs know: @schema, @table. No row when there is no such relation.
-- Indexes: pg_class_relname_nsp_index, and those by relation of the catalogs that are joined. No lock is taken on the table.
with recursive leaf (oid, depth) as (
  select c.oid, 0
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where n.nspname = @schema and c.relname = @table
  union all
  select i.inhrelid, depth + 1 from leaf join pg_catalog.pg_inherits i on i.inhparent = leaf.oid
)
select jsonb_build_object(
  'oid', c.oid::bigint,
  'kind', c.relkind,
  'persistence', c.relpersistence,
  'partition', c.relispartition,
  'owner', pg_catalog.pg_get_userbyid(c.relowner),
  'owned', pg_catalog.pg_has_role(c.relowner, 'usage'),
  'usage', pg_catalog.has_schema_privilege(c.relnamespace, 'usage'),
  'select', pg_catalog.has_table_privilege(c.oid, 'select'),
  'delete', pg_catalog.has_table_privilege(c.oid, 'delete'),
  'policies', pg_catalog.row_security_active(c.oid),
  'vacuum', not coalesce('autovacuum_enabled=false' = any (c.reloptions), false),
  'columns', (
    select coalesce(jsonb_agg(jsonb_build_object('name', a.attname, 'type', pg_catalog.format_type(a.atttypid, null),
      'generated', a.attgenerated <> '', 'required', a.attnotnull) order by a.attnum), '[]')
    from pg_catalog.pg_attribute a
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped),
  'indexes', (
    select coalesce(jsonb_agg(jsonb_build_object('name', ic.relname, 'unique', i.indisunique, 'whole', i.indpred is null,
      'valid', i.indisvalid, 'columns', (
        select coalesce(jsonb_agg(a.attname order by k.n), '[]')
        from unnest(i.indkey::int2[]) with ordinality k (attnum, n)
        join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
        where k.n <= i.indnkeyatts)) order by ic.relname), '[]')
    from pg_catalog.pg_index i
    join pg_catalog.pg_class ic on ic.oid = i.indexrelid
    where i.indrelid = c.oid),
  'triggers', (
    select coalesce(jsonb_agg(jsonb_build_object('name', t.tgname, 'enabled', t.tgenabled,
      'deletes', t.tgtype & 8 <> 0, 'inserts', t.tgtype & 4 <> 0) order by t.tgname), '[]')
    from pg_catalog.pg_trigger t
    where t.tgrelid = c.oid and not t.tgisinternal),
  'rules', (
    select coalesce(jsonb_agg(r.rulename order by r.rulename), '[]')
    from pg_catalog.pg_rewrite r
    where r.ev_class = c.oid and r.rulename <> '_RETURN'),
  'leaves', (
    select coalesce(jsonb_agg(jsonb_build_object('name', format('%I.%I', ln.nspname, l.relname), 'kind', l.relkind,
      'persistence', l.relpersistence, 'partition', l.relispartition)
      order by ln.nspname, l.relname), '[]')
    from leaf
    join pg_catalog.pg_class l on l.oid = leaf.oid
    join pg_catalog.pg_namespace ln on ln.oid = l.relnamespace
    where leaf.depth > 0 and l.relkind <> 'p'),
  'rows', (select sum(greatest(l.reltuples, 0))::bigint from leaf join pg_catalog.pg_class l on l.oid = leaf.oid where l.relkind = 'r'),
  'bytes', (select sum(l.relpages::bigint) * current_setting('block_size')::bigint
    from leaf join pg_catalog.pg_class l on l.oid = leaf.oid where l.relkind = 'r'),
  'live', (select sum(pg_catalog.pg_stat_get_live_tuples(leaf.oid)) from leaf),
  'dead', (select sum(pg_catalog.pg_stat_get_dead_tuples(leaf.oid)) from leaf)
)
from pg_catalog.pg_class c
where c.oid = (select oid from leaf where depth = 0)
