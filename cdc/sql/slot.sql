-- The replication slot ($1), with the columns that this version of Postgres has. No index: the view is a list in
-- shared memory, as long as max_replication_slots.
select json_build_object(
  'slot', to_json(s),
  'database', current_database()
)
from pg_catalog.pg_replication_slots s
where s.slot_name = $1
