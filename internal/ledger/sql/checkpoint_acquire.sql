-- Starts the slot's next epoch. Index: checkpoint_pkey.
insert into walpost.checkpoint as c (slot, system_id, timeline, epoch, updated_at)
values ($1, $2, $3, 1, pg_catalog.now())
on conflict (slot) do update
set epoch = c.epoch + 1, system_id = excluded.system_id, timeline = excluded.timeline, drained = false, updated_at = excluded.updated_at
returning epoch
