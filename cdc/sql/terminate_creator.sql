-- Ends the session ($2) if it still holds the slot ($1); an unfinished slot goes with it. No index.
select json_build_object('terminated', coalesce(bool_or(pg_catalog.pg_terminate_backend(s.active_pid)), false))
from pg_catalog.pg_replication_slots s
where s.slot_name = $1 and s.active_pid = $2::int
