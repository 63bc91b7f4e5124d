-- Deliveries without an attempt to report. Index: delivery_pkey.
-- What is recorded already is at least as far, so a repeat after a crash changes nothing.
insert into walpost.delivery
    (id, event_id, topic, webhook, state, attempts, due_at, fence, created_at, updated_at, finished_at)
select id, event_id, topic, webhook, state, attempts, walpost.now() + due_in, fence, walpost.now(), walpost.now(),
    case when state in ('delivered', 'failed', 'cancelled') then walpost.now() end
from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int[], $7::interval[], $8::bigint[])
    as new (id, event_id, topic, webhook, state, attempts, due_in, fence)
on conflict (id) do nothing
