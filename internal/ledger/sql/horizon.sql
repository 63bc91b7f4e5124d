-- The transaction below which all outbox rows have been resolved for $2 by slot $1. No row: there is none, or its stream has
-- an open incident, or it isn't of this server's history. Whoever else reads an outbox here must have resolved them too: by a slot
-- that is still there, or by polling, of which only the checkpoint tells. Indexes: checkpoint_pkey, horizon_pkey, incident_open.
select min(bound.xid)
from walpost.checkpoint own
cross join lateral (
    select max(h.xid) as xid
    from walpost.horizon h
    where h.slot = own.slot and h.system_id = own.system_id and h.at <= walpost.now() - $2::interval
    union all
    select coalesce(pg_snapshot_xmin(c.snapshot)::text::bigint, 0)
    from walpost.checkpoint c
    where c.slot = own.slot or c.coverage = 'polled' or exists (select from pg_replication_slots s where s.slot_name = c.slot)
) bound
where own.slot = $1
    and not exists (select from walpost.incident i where i.resolved_at is null and i.slot in ($1, ''))
having count(*) = count(bound.xid)
    and min(bound.xid) > 0
    and min(bound.xid) <= pg_snapshot_xmax(pg_current_snapshot())::text::bigint
