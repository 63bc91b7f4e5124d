-- The transaction that has been open for longest, and whether we may see those of other roles. No index: a list in
-- shared memory.
select jsonb_build_object(
  'hidden', (select count(*) from pg_catalog.pg_stat_activity where backend_type is null),
  'oldest', (
    select jsonb_build_object('pid', a.pid, 'application', a.application_name, 'role', a.usename, 'database', a.datname,
      'state', a.state, 'age', extract(epoch from pg_catalog.clock_timestamp() - a.xact_start))
    from pg_catalog.pg_stat_activity a
    where a.xact_start is not null and a.backend_type = 'client backend' and a.pid <> pg_catalog.pg_backend_pid()
    order by a.xact_start
    limit 1)
)
