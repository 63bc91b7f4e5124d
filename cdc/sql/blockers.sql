-- Who keeps a slot from being created: every transaction of the cluster that has an id, oldest first. pg_locks shows
-- them to everybody, pg_stat_activity not. No index: both are lists in shared memory.
select coalesce(json_agg(json_build_object(
  'pid', l.pid, 'application', a.application_name, 'role', a.usename, 'since', a.xact_start
) order by a.xact_start nulls last, l.pid), '[]')
from pg_catalog.pg_locks l
left join pg_catalog.pg_stat_activity a on a.pid = l.pid
where l.locktype = 'transactionid' and l.mode = 'ExclusiveLock' and l.granted
