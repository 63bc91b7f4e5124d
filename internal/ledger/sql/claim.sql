-- Takes due deliveries of the given webhooks, each with its event, for as long as the webhook's lease. Index: delivery_due
-- to find them, in due order and from the webhook's floor ($5) on; delivery_pkey and event_pkey, row by row, whatever the
-- planner thinks of their number. What others are claiming is skipped. $4 bounds the payload bytes, but for the first.
-- With nothing due, nothing is written. No indexed column is changed.
--
-- What is held behind one of them in its key comes with it, up to $6 of a key and $7 of a webhook in all: they are sent one
-- after the other. Index: delivery_order. They stay held, and nobody else attempts them, since they are had only
-- behind the one that is out. more: the ledger owes others of the key.
with due as materialized (
    select d.id, d.due_at, d.event_id, d.webhook, d.order_key, c.run, c.most
    from unnest($1::text[], $2::int[], $5::timestamptz[], $6::int[], $7::int[]) as c (webhook, capacity, floor, run, most)
    cross join lateral (
        select d.id, d.due_at, d.event_id, d.webhook, d.order_key
        from walpost.delivery d
        where d.webhook = c.webhook and d.state in ('pending', 'retrying') and not d.held
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
behind as materialized (
    select h.id as first, f.id, f.event_id, f.ready, h.run,
        row_number() over (partition by h.id order by f.order_lsn, f.order_n, f.id) as n
    from due h
    cross join lateral (
        select f.id, f.event_id, f.order_lsn, f.order_n,
            f.due_at <= walpost.now() or f.due_at = 'infinity' as ready
        from walpost.delivery f
        where f.webhook = h.webhook and f.order_key = h.order_key and f.held and f.state in ('pending', 'retrying')
        order by f.order_lsn, f.order_n, f.id
        limit h.run
    ) f
),
locked as materialized (
    select f.id
    from walpost.delivery f
    where f.id = any (array(select id from behind where n < run and ready)) and f.held and f.state in ('pending', 'retrying')
    for update skip locked
),
candidate as (
    select h.id, h.event_id, h.id as first, h.due_at, 0::bigint as n, h.webhook, h.most
    from due h
    union all
    select b.id, b.event_id, b.first, h.due_at, b.n, h.webhook, h.most
    from (
        select b.*, bool_and(l.id is not null) over (partition by b.first order by b.n) as whole
        from behind b
        left join locked l on l.id = b.id
    ) b
    join due h on h.id = b.first
    where b.whole
),
affordable as materialized (
    select id, first, due_at, n, max(n) over (partition by first) as last
    from (
        select id, first, due_at, n, most,
            sum(bytes) over (order by due_at, first, n) - bytes as before,
            row_number() over (partition by webhook order by due_at, first, n) as place
        from (
            select c.*, coalesce((select octet_length(e.payload) from walpost.event e where e.id = c.event_id), 0) as bytes
            from candidate c
        ) c
    ) c
    where before <= $4::bigint and place <= most
),
claimed as (
    update walpost.delivery d
    set fence = d.fence + 1,
        leased_until = walpost.now() + ($3::interval[])[array_position($1::text[], d.webhook)],
        updated_at = walpost.now()
    where d.id = any (array(select id from affordable))
    returning d.id, d.event_id, d.topic, d.webhook, d.state, d.attempts, d.fence, d.order_key, d.order_lsn, d.order_n
)
select c.id, c.topic, c.webhook, c.state, c.attempts, c.fence, a.due_at, walpost.now(),
    coalesce(c.order_key, ''), coalesce(c.order_n, 0),
    coalesce(h.n, 0) > a.last as more,
    e.id, e.aggregate_type, e.aggregate_id, e.type, e.payload, e.headers, e.created_at, e.committed_at, e.lsn::text
from claimed c
join affordable a on a.id = c.id
left join (select first, max(n) as n from behind group by first) h on h.first = a.first
join walpost.event e on e.id = c.event_id
order by coalesce(c.order_lsn, e.lsn), c.order_n, c.id
