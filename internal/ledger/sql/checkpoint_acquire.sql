-- Starts the slot's next epoch. Index: checkpoint_pkey.
insert into walpost.checkpoint as c (slot, system_id, timeline, epoch, updated_at, written_by)
values ($1, $2, $3, 1, pg_catalog.now(), pg_catalog.pg_current_xact_id())
on conflict (slot) do update
set epoch = c.epoch + 1, system_id = excluded.system_id, timeline = excluded.timeline, drained = false, updated_at = excluded.updated_at,
    written_by = excluded.written_by
returning epoch
