-- Gives deliveries that are parked or final a new schedule, in chunks, oldest first: each call goes on after the last of the
-- one before ($7, $8). Indexes: delivery_created for the order, or delivery_pkey, delivery_event where the filter names ids.
-- Planned for its parameters each time. Of an ordered key they are held: order_settle.sql lets one out.
with picked as (
    select d.id, d.created_at, d.webhook, d.order_key
    from walpost.delivery d
    where ($1::uuid[] is null or d.id = any ($1))
        and ($2::text is null or d.event_id = $2)
        and ($3::text is null or d.webhook = $3)
        and ($4::text is null or d.topic = $4)
        and d.state = any ($5::text[])
        and ($6::timestamptz is null or d.created_at >= $6)
        and (d.created_at, d.id) > ($7::timestamptz, $8::uuid)
    order by d.created_at, d.id
    limit $9
    for update
),
moved as (
    update walpost.delivery d
    set state = 'pending', attempts = 0, leased_until = null, fence = d.fence + 1, updated_at = walpost.now(), finished_at = null,
        held = d.order_key is not null, due_at = case when d.order_key is null then walpost.now() else 'infinity' end
    where d.id = any (array(select id from picked))
)
select created_at, id, webhook, coalesce(order_key, '') from picked order by created_at, id
