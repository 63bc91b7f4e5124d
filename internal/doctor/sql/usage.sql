-- What is used of the server's limits. No index: lists in shared memory, and pg_database_datname_index.
select jsonb_build_object(
  'slots', (select count(*) from pg_catalog.pg_replication_slots),
  'senders', (select count(*) from pg_catalog.pg_stat_replication where application_name is distinct from 'walpost doctor'), -- its own may not be gone yet
  'connections', (select count(*) from pg_catalog.pg_stat_activity where datid is not null),
  'role_connections', (select count(*) from pg_catalog.pg_stat_activity where usename = current_user and datid is not null),
  'role_limit', (select rolconnlimit from pg_catalog.pg_roles where rolname = current_user),
  'database_connections', (select count(*) from pg_catalog.pg_stat_activity where datname = pg_catalog.current_database()),
  'database_limit', (select datconnlimit from pg_catalog.pg_database where datname = pg_catalog.current_database()),
  'idle_slots', (select coalesce(jsonb_agg(slot_name order by slot_name), '[]') from pg_catalog.pg_replication_slots
                 where not active and slot_name <> @slot)
)
