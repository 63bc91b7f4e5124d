-- Starts the slot's next epoch, unless the newest is the caller's already ($4). Index: checkpoint_pkey.
insert into walpost.checkpoint as c (slot, system_id, timeline, epoch, updated_at, epoch_at, written_by)
values ($1, $2, $3, 1, pg_catalog.now(), pg_catalog.now(), pg_catalog.pg_current_xact_id())
on conflict (slot) do update
set epoch = case when c.epoch = $4 then c.epoch else c.epoch + 1 end,
    epoch_at = case when c.epoch = $4 then c.epoch_at else excluded.epoch_at end,
    system_id = excluded.system_id,
    timeline = excluded.timeline,
    drained = false,
    updated_at = excluded.updated_at,
    written_by = excluded.written_by
returning epoch
