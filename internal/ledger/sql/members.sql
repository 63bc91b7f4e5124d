-- The daemons of a slot: who holds the shared lock ($1) is one of them, who holds the other ($2) leads. No index: both
-- views are lists in shared memory. What a role may not see of another's sessions is NULL there.
select a.pid, a.application_name, bool_or(l.key = $2), a.backend_start, a.state_change,
    coalesce(a.usename = current_user and a.state = 'idle', false), clock_timestamp()
from (
    select pid, (classid::bigint << 32) | objid::bigint as key
    from pg_catalog.pg_locks
    where locktype = 'advisory' and objsubid = 1 and granted
        and database = (select oid from pg_catalog.pg_database where datname = current_database())
) l
join pg_catalog.pg_stat_activity a on a.pid = l.pid
where l.key in ($1, $2)
group by a.pid, a.application_name, a.backend_start, a.state_change, a.usename, a.state
order by 3 desc, a.backend_start, a.pid
