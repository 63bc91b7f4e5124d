-- Physical slots, and whether anybody follows them. No index: a list in shared memory.
select jsonb_build_object(
  'active', coalesce(jsonb_agg(slot_name) filter (where active), '[]'),
  'inactive', coalesce(jsonb_agg(slot_name) filter (where not active), '[]')
)
from pg_catalog.pg_replication_slots
where slot_type = 'physical'
