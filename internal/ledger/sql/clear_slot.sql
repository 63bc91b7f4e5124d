-- Ends a walpost ($2: what its application_name begins with) that reads the slot ($1) although the caller leads: one that
-- was killed or cut off, of which the server doesn't know yet. No index.
select count(*) filter (where pg_catalog.pg_terminate_backend(a.pid))
from pg_catalog.pg_replication_slots s
join pg_catalog.pg_stat_activity a on a.pid = s.active_pid
where s.slot_name = $1 and a.usename = current_user and starts_with(a.application_name, $2)
