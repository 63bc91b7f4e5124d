-- First-attempt successes, one row each. Index, if the batch is a repeat ($16) that may have been committed before:
-- attempt_delivery.
insert into walpost.attempt
    (delivery_id, event_id, topic, webhook, n, at, verdict, class, status, duration_ms, excerpt, replica, sole)
select id, event_id, topic, webhook, n, walpost.now() - age, verdict, class, status, duration_ms, excerpt, $15::text, true
from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::int[], $7::text[], $8::interval[],
        $9::interval[], $10::text[], $11::text[], $12::int[], $13::float8[], $14::text[])
    as new (id, event_id, topic, webhook, fence, n, state, due_in,
        age, verdict, class, status, duration_ms, excerpt)
where not ($16::boolean and exists (
    select from walpost.attempt a
    where a.delivery_id = new.id and a.n = new.n and a.sole and a.at > walpost.now() - interval '1 day'
))
