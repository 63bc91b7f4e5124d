-- What this statement sees, when, and a WAL position above all of it. The name of the function is the one that Postgres 12 has too. No index.
select json_build_object(
  'snapshot', pg_catalog.txid_current_snapshot()::text,
  'position', pg_catalog.pg_current_wal_insert_lsn()::text,
  'time', extract(epoch from pg_catalog.clock_timestamp())
)
