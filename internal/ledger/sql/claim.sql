-- Takes due deliveries of the given webhooks, each with its event, for as long as the webhook's lease. Index: delivery_due
-- to find them, in due order and from the webhook's floor ($5) on; delivery_pkey and event_pkey, row by row, whatever the
-- planner thinks of their number. What others are claiming is skipped. $4 bounds the payload bytes, but for the first.
-- With nothing due, nothing is written. No indexed column is changed.
with due as materialized (
    select d.id, d.due_at, d.bytes
    from unnest($1::text[], $2::int[], $5::timestamptz[]) as c (webhook, capacity, floor)
    cross join lateral (
        select d.id, d.due_at,
            coalesce((select octet_length(e.payload) from walpost.event e where e.id = d.event_id), 0) as bytes
        from walpost.delivery d
        where d.webhook = c.webhook and d.state in ('pending', 'retrying')
            and d.due_at >= c.floor and d.due_at <= walpost.now()
            and (d.leased_until is null or d.leased_until <= walpost.now())
        order by d.due_at
        limit c.capacity
        for update skip locked
    ) d
    where not exists (
        select from walpost.webhook w where w.name = c.webhook and w.disabled_at is not null
    )
),
affordable as (
    select id
    from (select id, sum(bytes) over (order by due_at, id) - bytes as before from due) d
    where before <= $4::bigint
),
claimed as (
    update walpost.delivery d
    set fence = d.fence + 1,
        leased_until = walpost.now() + ($3::interval[])[array_position($1::text[], d.webhook)],
        updated_at = walpost.now()
    where d.id = any (array(select id from affordable))
    returning d.id, d.event_id, d.topic, d.webhook, d.state, d.attempts, d.fence, d.due_at
)
select c.id, c.topic, c.webhook, c.state, c.attempts, c.fence, c.due_at, walpost.now(),
    e.id, e.aggregate_type, e.aggregate_id, e.type, e.payload, e.headers, e.created_at, e.committed_at, e.lsn::text
from claimed c
join walpost.event e on e.id = c.event_id
order by e.lsn, c.id
