-- Outcomes of recorded deliveries, with their attempts; gives the ids of those that came too late. Index: delivery_pkey.
-- An outcome counts under its own fence, once in a schedule. While the attempt ran, the delivery may have been parked:
-- then only a final state gets it out. An interrupted attempt changes neither state nor number. Nothing is due before now (floor.go).
with new as (
    select *
    from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::bigint[], $6::int[], $7::text[], $8::interval[],
            $9::interval[], $10::text[], $11::text[], $12::int[], $13::float8[], $14::text[])
        as new (id, event_id, topic, webhook, fence, n, state, due_in,
            age, verdict, class, status, duration_ms, excerpt)
),
applied as (
    update walpost.delivery d
    set state = case
            when new.verdict = 'interrupted' then d.state
            when d.state = 'parked' and new.state in ('pending', 'retrying') then d.state
            else new.state
        end,
        attempts = case when new.verdict = 'interrupted' then d.attempts else new.n end,
        due_at = walpost.now() + greatest(new.due_in, '0'),
        leased_until = null,
        last_status = new.status,
        last_class = new.class,
        last_verdict = new.verdict,
        updated_at = walpost.now(),
        finished_at = case
            when new.verdict <> 'interrupted' and new.state in ('delivered', 'failed', 'cancelled') then walpost.now()
        end
    from new
    where d.id = new.id
        and d.fence = new.fence
        and d.state in ('pending', 'retrying', 'parked')
        and (new.verdict = 'interrupted' or d.attempts < new.n)
    returning d.id
),
logged as (
    insert into walpost.attempt
        (delivery_id, event_id, topic, webhook, n, at, verdict, class, status, duration_ms, excerpt, replica)
    select id, event_id, topic, webhook, n, walpost.now() - age, verdict, class, status, duration_ms, excerpt, $15::text
    from new join applied using (id)
    where verdict <> 'interrupted'
)
select new.id
from new
left join applied on applied.id = new.id
where applied.id is null
    and not exists (
        -- Ours, from a try whose commit we did not learn of.
        select from walpost.delivery d where d.id = new.id and d.fence = new.fence and d.attempts >= new.n
    )
