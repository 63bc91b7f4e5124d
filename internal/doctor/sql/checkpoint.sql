-- The slot's checkpoint. Index: checkpoint_pkey.
select jsonb_build_object('lsn', c.lsn, 'position', c.lsn - '0/0', 'system', c.system_id, 'timeline', c.timeline, 'started', c.lsn <> '0/0',
  'snapshot', c.snapshot is not null, 'age', extract(epoch from pg_catalog.now() - c.updated_at))
from walpost.checkpoint c
where c.slot = @slot
