-- The tables that hold the rows of the outbox table ($1 schema, $2 name): itself, or the leaves of its partition tree, and
-- what may be done with them. A leaf can be dropped as a whole if it is a partition of the table itself by ranges of one
-- column of time, and has an upper bound. Bounds are read in the session's time zone. Indexes: pg_class_relname_nsp_index,
-- pg_class_oid_index, pg_inherits_parent_index. Locks nothing.
with recursive tree (oid, depth) as (
  select c.oid, 0
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where n.nspname = $1 and c.relname = $2
  union all
  select i.inhrelid, tree.depth + 1
  from tree
  join pg_catalog.pg_inherits i on i.inhparent = tree.oid
  join pg_catalog.pg_class c on c.oid = i.inhrelid and c.relispartition
)
select n.nspname, c.relname, c.reltuples::bigint,
  pg_catalog.has_table_privilege(c.oid, 'select') and pg_catalog.has_table_privilege(c.oid, 'delete'),
  pg_catalog.pg_has_role(c.relowner, 'usage') and pg_catalog.pg_has_role(root.relowner, 'usage'),
  case when tree.depth = 1 and by.time then
    (regexp_match(pg_catalog.pg_get_expr(c.relpartbound, c.oid), $p$ TO \('([^']+)'\)$$p$))[1]::timestamptz
  end
from tree
join pg_catalog.pg_class c on c.oid = tree.oid
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
cross join (select r.* from tree t join pg_catalog.pg_class r on r.oid = t.oid where t.depth = 0) root
left join lateral (
  select true as time
  from pg_catalog.pg_partitioned_table p
  join pg_catalog.pg_attribute a on a.attrelid = p.partrelid and a.attnum = p.partattrs[0]
  where p.partrelid = root.oid and p.partstrat = 'r' and p.partnatts = 1
    and a.atttypid in ('timestamptz'::regtype, 'timestamp'::regtype, 'date'::regtype)
) by on true
where c.relkind = 'r'
order by 6 nulls last, 1, 2
