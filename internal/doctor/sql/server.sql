-- What the server is and who we are on it. Reads settings only.
select jsonb_build_object(
  'version', current_setting('server_version_num')::int,
  'number', current_setting('server_version'),
  'recovery', pg_catalog.pg_is_in_recovery(),
  'role', current_user,
  'database', pg_catalog.current_database(),
  'pid', pg_catalog.pg_backend_pid()
)
