-- Takes quarantined events that are to be routed again, for $2. Index: quarantine_requested. With none, nothing is written.
with claimed as (
    update walpost.quarantine q
    set fence = q.fence + 1, leased_until = walpost.now() + $2::interval
    where q.id = any (array(
        select r.id
        from walpost.quarantine r
        where r.replay_requested_at is not null and r.resolved_at is null
            and (r.leased_until is null or r.leased_until <= walpost.now())
        order by r.replay_requested_at
        limit $1
        for update skip locked
    ))
    returning q.id, q.fence, q.rule, q.webhook, q.topic, q.event_id
)
select c.id, c.fence, c.rule, c.webhook, c.topic,
    e.id, e.aggregate_type, e.aggregate_id, e.type, e.payload, e.headers, e.created_at, e.committed_at, e.lsn::text
from claimed c
join walpost.event e on e.id = c.event_id
order by e.lsn, c.id
