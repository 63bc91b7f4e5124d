-- The tables that hold the rows of the outbox table ($1 schema, $2 name): itself, or the leaves of its partition tree, with
-- their blocks. Indexes: pg_class_relname_nsp_index, pg_class_oid_index, pg_inherits_parent_index.
with recursive tree (oid) as (
  select c.oid
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where n.nspname = $1 and c.relname = $2
  union all
  select i.inhrelid
  from tree
  join pg_catalog.pg_inherits i on i.inhparent = tree.oid
  join pg_catalog.pg_class c on c.oid = i.inhrelid and c.relispartition
)
select n.nspname, c.relname, pg_catalog.pg_relation_size(c.oid) / current_setting('block_size')::bigint
from tree
join pg_catalog.pg_class c on c.oid = tree.oid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind = 'r'
order by 1, 2
