-- The transactions that have written to a table ($1, its OID) or its partitions and are not over: they keep their lock
-- until after their rows have become visible. No index: pg_locks is a list in shared memory.
select coalesce(json_agg(distinct l.virtualtransaction), '[]')
from pg_catalog.pg_locks l
where l.locktype = 'relation' and l.mode = 'RowExclusiveLock' and l.granted
  and l.database = (select oid from pg_catalog.pg_database where datname = current_database())
  and (l.relation = $1::oid or l.relation in (select relid from pg_catalog.pg_partition_tree($1::oid::regclass)))
