-- Outcomes of deliveries that were not recorded before, with their attempts. Index: delivery_pkey.
-- After a crash the delivery may be there: only one without an attempt takes the outcome, and a new fence shuts out
-- whoever attempts it too. Those of an ordered key are held: order_settle.sql lets one out. Nothing is due before now (floor.go). The attempt is logged if the outcome counts, so that a repeated batch logs it once.
with new as (
    select *
    from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::int[], $7::text[], $8::interval[],
            $9::interval[], $10::text[], $11::text[], $12::int[], $13::float8[], $14::text[],
            $16::text[], $17::text[], $18::bigint[])
        as new (id, event_id, topic, webhook, fence, n, state, due_in,
            age, verdict, class, status, duration_ms, excerpt, order_key, order_lsn, order_n)
),
applied as (
    insert into walpost.delivery as d
        (id, event_id, topic, webhook, state, attempts, due_at, fence,
         last_status, last_class, last_verdict, created_at, updated_at, finished_at,
         order_key, order_lsn, order_n, held)
    select id, event_id, topic, webhook, state, case when verdict = 'interrupted' then n - 1 else n end,
        walpost.now() + greatest(due_in, '0'), fence, status, class, verdict, walpost.now(), walpost.now(),
        case when state in ('delivered', 'failed', 'cancelled') then walpost.now() end,
        nullif(order_key, ''), case when order_key <> '' then order_lsn::pg_lsn end,
        case when order_key <> '' then order_n end, order_key <> ''
    from new
    on conflict (id) do update
    set (state, attempts, due_at, last_status, last_class, last_verdict, updated_at, finished_at)
        = row (excluded.state, excluded.attempts, excluded.due_at, excluded.last_status, excluded.last_class,
            excluded.last_verdict, excluded.updated_at, excluded.finished_at),
        fence = d.fence + 1, leased_until = null
    where d.state = 'pending' and d.attempts < excluded.attempts
    returning d.id
)
insert into walpost.attempt
    (delivery_id, event_id, topic, webhook, n, at, verdict, class, status, duration_ms, excerpt, replica)
select id, event_id, topic, webhook, n, walpost.now() - age, verdict, class, status, duration_ms, excerpt, $15::text
from new join applied using (id)
where verdict <> 'interrupted'
