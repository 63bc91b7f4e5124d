-- Notes how far the checkpoint of slot $1 has come, if it has come any further. Indexes: checkpoint_pkey, horizon_pkey.
insert into walpost.horizon (slot, at, xid, system_id)
select c.slot, walpost.now(), pg_snapshot_xmin(c.snapshot)::text::bigint, c.system_id
from walpost.checkpoint c
where c.slot = $1 and c.snapshot is not null
    and not exists (
        select from walpost.horizon h
        where h.slot = c.slot and h.system_id = c.system_id and h.xid >= pg_snapshot_xmin(c.snapshot)::text::bigint
    )
on conflict do nothing
