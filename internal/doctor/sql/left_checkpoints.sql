-- Checkpoints of other slots that nobody has written for a day, and that still hold back which outbox rows may be deleted
-- (ledger/sql/horizon.sql). There are a handful.
select jsonb_agg(jsonb_build_object('slot', c.slot, 'age', extract(epoch from pg_catalog.now() - c.updated_at),
  'held', exists (select from pg_catalog.pg_replication_slots s where s.slot_name = c.slot)) order by c.slot)
from walpost.checkpoint c
where c.slot <> @slot
  and c.updated_at < pg_catalog.now() - interval '1 day'
  and (c.coverage = 'polled' or exists (select from pg_catalog.pg_replication_slots s where s.slot_name = c.slot))
