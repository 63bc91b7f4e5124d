-- What is committed now, a WAL position above all of these commits, and how far the WAL is on disk: the statement's
-- snapshot is taken before the positions are read. No index.
select json_build_object(
  'snapshot', pg_catalog.pg_current_snapshot()::text,
  'position', pg_catalog.pg_current_wal_insert_lsn()::text,
  'flushed', pg_catalog.pg_current_wal_flush_lsn()::text,
  'time', extract(epoch from pg_catalog.clock_timestamp()),
  'backend', pg_catalog.pg_backend_pid()
)
