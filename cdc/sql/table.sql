-- The table and its columns: $1 schema, $2 name. No row when there is no such relation.
-- Index: pg_class_relname_nsp_index, pg_attribute_relid_attnum_index.
select json_build_object(
  'oid', c.oid::bigint,
  'kind', c.relkind,
  'persistence', c.relpersistence,
  'columns', coalesce((
    select json_agg(json_build_object('name', a.attname, 'generated', a.attgenerated <> '') order by a.attnum)
    from pg_catalog.pg_attribute a
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped), '[]')
)
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where n.nspname = $1 and c.relname = $2
