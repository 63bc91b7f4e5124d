-- The table and its columns: $1 schema, $2 name. No row when there is no such relation. A column is a key if it is
-- part of the replica identity.
-- Index: pg_class_relname_nsp_index, pg_attribute_relid_attnum_index, pg_index_indrelid_index.
select json_build_object(
  'oid', c.oid::bigint,
  'kind', c.relkind,
  'persistence', c.relpersistence,
  'columns', coalesce((
    select json_agg(json_build_object('name', a.attname, 'generated', a.attgenerated <> '', 'type', a.atttypid::bigint,
      'key', c.relreplident = 'f' or exists (
        select from pg_catalog.pg_index i
        where i.indrelid = c.oid and a.attnum = any (i.indkey)
          and case c.relreplident when 'd' then i.indisprimary when 'i' then i.indisreplident else false end)
    ) order by a.attnum)
    from pg_catalog.pg_attribute a
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped), '[]')
)
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1 and c.relname = $2
