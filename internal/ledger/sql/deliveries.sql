-- Deliveries by any filter, newest first; a parameter that is null doesn't filter. Indexes: delivery_created and
-- attempt_sole_at for the order, or delivery_pkey, attempt_delivery, delivery_event, attempt_sole_event where the
-- filter names ids. Planned for its parameters each time.
select d.id, d.event_id, d.topic, d.webhook, d.state, d.attempts, d.due_at, d.last_status, d.last_class, d.last_verdict,
    d.created_at, d.updated_at, d.finished_at
from walpost.deliveries d
where ($1::uuid[] is null or d.id = any ($1))
    and ($2::text is null or d.event_id = $2)
    and ($3::text is null or d.webhook = $3)
    and ($4::text is null or d.topic = $4)
    and ($5::text[] is null or d.state = any ($5))
    and ($6::timestamptz is null or d.created_at >= $6)
    and ($7::uuid is null
        or (d.created_at, d.id) < (select b.created_at, b.id from walpost.deliveries b where b.id = $7 limit 1))
order by d.created_at desc, d.id desc
limit $8
