-- The slot's checkpoint. Index: checkpoint_pkey.
select slot, lsn::text, system_id, timeline, epoch, coalesce(snapshot::text, ''), snapshot_lsn::text, coverage, counters, drained,
    updated_at, epoch_at, coalesce(walk::text, '')
from walpost.checkpoint
where slot = $1
