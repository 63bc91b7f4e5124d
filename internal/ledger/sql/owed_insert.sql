-- Deliveries without an attempt to report. Index: delivery_pkey.
-- What is recorded already is at least as far, so a repeat after a crash changes nothing. Nothing is due before now (floor.go). Those of an ordered key are held:
-- order_settle.sql lets one out. None of them is parked any more once its webhook is enabled; order_lock.sql keeps that so.
insert into walpost.delivery
    (id, event_id, topic, webhook, state, attempts, due_at, fence, created_at, updated_at, finished_at,
     order_key, order_lsn, order_n, held, leased_until)
select id, event_id, topic, webhook,
    case
        when state = 'parked' and order_key <> '' and not exists (
            select from walpost.webhook w where w.name = webhook and w.disabled_at is not null
        ) then 'pending'
        else state
    end,
    attempts, case when order_key <> '' and fence = 0 then 'infinity' else walpost.now() + greatest(due_in, '0') end, fence,
    walpost.now(), walpost.now(),
    case when state in ('delivered', 'failed', 'cancelled') then walpost.now() end,
    nullif(order_key, ''), case when order_key <> '' then order_lsn::pg_lsn end, case when order_key <> '' then order_n end,
    order_key <> '', case when fence > 0 then walpost.now() + due_in end
from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::int[], $7::interval[], $8::bigint[],
        $9::text[], $10::text[], $11::bigint[])
    as new (id, event_id, topic, webhook, state, attempts, due_in, fence, order_key, order_lsn, order_n)
on conflict (id) do nothing
