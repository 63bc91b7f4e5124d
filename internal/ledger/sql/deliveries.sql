-- Deliveries by any filter, newest first; a parameter that is null doesn't filter. The rows of walpost.deliveries, but each
-- half is ordered and cut by itself, since the planner can't merge the partitions' indexes through the view. Indexes:
-- delivery_created and attempt_sole_at for the order, or delivery_pkey, attempt_delivery, delivery_event,
-- attempt_sole_event where the filter names ids; delivery_order for what one is held behind. Planned for its parameters each time.
with before as (
    select b.created_at, b.id from walpost.deliveries b where b.id = $7::uuid limit 1
)
(
    select d.id, d.event_id, d.topic, d.webhook, d.state, d.attempts,
        case when d.state in ('pending', 'retrying') and not d.held then d.due_at end as due_at,
        d.last_status, d.last_class, d.last_verdict, d.created_at, d.updated_at, d.finished_at, d.order_key,
        case when d.held and d.state in ('pending', 'retrying') then (
            select o.id
            from walpost.delivery o
            where o.webhook = d.webhook and o.order_key = d.order_key and not o.held and o.state in ('pending', 'retrying')
            limit 1
        ) end as held_behind
    from walpost.delivery d
    where ($1::uuid[] is null or d.id = any ($1))
        and ($2::text is null or d.event_id = $2)
        and ($3::text is null or d.webhook = $3)
        and ($4::text is null or d.topic = $4)
        and ($5::text[] is null or d.state = any ($5))
        and ($6::timestamptz is null or d.created_at >= $6)
        and ($7 is null or (d.created_at, d.id) < (select created_at, id from before))
    order by d.created_at desc, d.id desc
    limit $8
)
union all
(
    select a.delivery_id, a.event_id, a.topic, a.webhook, 'delivered', a.n, null,
        a.status, a.class, a.verdict, a.at, a.at, a.at, null, null
    from walpost.attempt a
    where a.sole
        and ($1::uuid[] is null or a.delivery_id = any ($1))
        and ($2::text is null or a.event_id = $2)
        and ($3::text is null or a.webhook = $3)
        and ($4::text is null or a.topic = $4)
        and ($5::text[] is null or 'delivered' = any ($5))
        and ($6::timestamptz is null or a.at >= $6)
        and ($7 is null or (a.at, a.delivery_id) < (select created_at, id from before))
    order by a.at desc, a.delivery_id desc
    limit $8
)
order by created_at desc, id desc
limit $8
