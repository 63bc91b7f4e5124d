-- The slot as the server sees it. No index: a handful of rows in shared memory.
select s.active, coalesce(s.wal_status, ''), s.confirmed_flush_lsn::text, s.restart_lsn::text,
    coalesce(pg_wal_lsn_diff(w.at, s.restart_lsn), 0)::bigint,
    coalesce(pg_wal_lsn_diff(w.at, s.confirmed_flush_lsn), 0)::bigint
from pg_replication_slots s,
    (select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end) as w (at)
where s.slot_name = $1 and s.database = current_database()
