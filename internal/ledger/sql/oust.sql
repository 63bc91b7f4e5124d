-- Ends the sessions of a daemon that is silent: the one that says that it is there ($1), unless it has spoken since ($2),
-- and with it those of the same name ($3), and whatever reads the slot ($4), as far as they are of our own role. No index.
with silent as materialized (
    select pid from pg_catalog.pg_stat_activity where pid = $1 and usename = current_user and state_change = $2
)
select count(*) filter (where pg_catalog.pg_terminate_backend(a.pid))
from pg_catalog.pg_stat_activity a
where exists (select from silent)
    and a.usename = current_user
    and a.pid <> pg_catalog.pg_backend_pid()
    and (
        a.pid = $1
        or a.application_name = $3 and a.datname = current_database()
        or a.pid = (select s.active_pid from pg_catalog.pg_replication_slots s where s.slot_name = $4)
    )
