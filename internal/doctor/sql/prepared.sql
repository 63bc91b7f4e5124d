-- Prepared transactions, oldest first. No index: a list in shared memory.
select coalesce(jsonb_agg(jsonb_build_object('gid', p.gid, 'role', p.owner, 'database', p.database,
  'age', extract(epoch from pg_catalog.clock_timestamp() - p.prepared)) order by p.prepared), '[]')
from pg_catalog.pg_prepared_xacts p
