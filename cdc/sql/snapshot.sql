-- What this statement sees, and when. The name of the function is the one that Postgres 12 has too. No index.
select json_build_object(
  'snapshot', pg_catalog.txid_current_snapshot()::text,
  'time', extract(epoch from pg_catalog.clock_timestamp())
)
