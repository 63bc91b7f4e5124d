-- The server that is polled: its version, its cluster, and the timeline that it writes, which the control file tells
-- only after the next checkpoint. backend is the process that serves us, behind a pooler too. Reads shared memory only.
select json_build_object(
  'version', current_setting('server_version_num')::int,
  'system', (select system_identifier::text from pg_catalog.pg_control_system()),
  'timeline', ('x' || substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int,
  'backend', pg_catalog.pg_backend_pid()
)
