-- Of several daemons one leads: its epoch fences what it records of the stream.
alter table walpost.checkpoint add column epoch_at timestamptz not null default pg_catalog.now();
comment on column walpost.checkpoint.epoch_at is 'When the epoch began: since when its owner leads.';
comment on column walpost.checkpoint.epoch is 'Counts the owners of the slot: only the newest moves the checkpoint and records what the slot sent.';

-- The next owner's first statement updates the row that is locked here, so it waits for the commit of what was recorded
-- in this epoch, and then sees it; and what comes after it is refused.
create function walpost.fence(of_slot text, in_epoch bigint) returns void
    language plpgsql
as $$
begin
    perform from walpost.checkpoint c where c.slot = of_slot and c.epoch = in_epoch for share;
    if not found then
        raise exception 'epoch % of slot "%" is over', in_epoch, of_slot using errcode = 'WP001';
    end if;
end $$;
comment on function walpost.fence(text, bigint) is 'Fails unless the epoch is the slot''s newest, and keeps it so until the end of the transaction.';
