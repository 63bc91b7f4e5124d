-- What the server is and who we are on it. Reads settings only.
select json_build_object(
  'version', current_setting('server_version_num')::int,
  'wal_level', current_setting('wal_level'),
  'role', current_user
)
