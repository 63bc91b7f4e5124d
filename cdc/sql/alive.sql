-- Proves that the session, and with it whatever it has locked, is still there. No index.
select json_build_object('pid', pg_catalog.pg_backend_pid())
