-- The slot (@slot), with the columns that this version has, who reads it, and how far it is behind. No index: a list in
-- shared memory.
select to_jsonb(s) || jsonb_build_object(
  'here', s.database is not distinct from pg_catalog.current_database(),
  'retained', pg_catalog.pg_wal_lsn_diff(w.at, s.restart_lsn)::bigint,
  'lag', pg_catalog.pg_wal_lsn_diff(w.at, s.confirmed_flush_lsn)::bigint,
  'horizon_age', pg_catalog.age(s.catalog_xmin),
  'idle', extract(epoch from pg_catalog.clock_timestamp() - (to_jsonb(s) ->> 'inactive_since')::timestamptz),
  'reader', (select jsonb_build_object('application', a.application_name, 'role', a.usename, 'address', host(a.client_addr))
             from pg_catalog.pg_stat_activity a where a.pid = s.active_pid)
)
from pg_catalog.pg_replication_slots s,
  (select case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn()
          else pg_catalog.pg_current_wal_lsn() end) w (at)
where s.slot_name = @slot
