-- The tables that hold the rows of a table ($1, its OID): itself, or the leaves of its partition tree, in an order that stays.
-- Blocks are counted now, so a row that was visible before is within them. A file is another one after each rewrite. Index: pg_class_oid_index.
select coalesce(json_agg(json_build_object(
  'schema', n.nspname, 'name', c.relname, 'oid', c.oid::bigint, 'file', pg_catalog.pg_relation_filenode(c.oid)::bigint,
  'blocks', pg_catalog.pg_relation_size(c.oid) / current_setting('block_size')::bigint
) order by c.oid), '[]')
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'r'
  and (c.oid = $1::oid or c.oid in (select relid from pg_catalog.pg_partition_tree($1::oid::regclass)))
