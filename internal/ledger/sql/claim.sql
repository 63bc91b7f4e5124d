-- Takes due deliveries of the given webhooks, each with its event, for as long as the webhook's lease. Index: delivery_due
-- to find them, in due order and from the webhook's floor ($5) on; event_pkey, once for each. The rows are locked by then, so
-- that they are updated where they were found (ctid), and no indexed column is changed: a claim costs the same beside however
-- many others. What others are claiming is skipped. $4 bounds the payload bytes, but for the first. With nothing due,
-- nothing is written.
--
-- What is held behind one of them in its key comes with it, up to $6 of a key and $7 of a webhook in all: they are sent one
-- after the other. Indexes: delivery_order, delivery_pkey. They stay held, and nobody else attempts them, since they are
-- had only behind the one that is out. more: the ledger owes others of the key.
with due as materialized (
    select d.ctid as tid, d.id, d.due_at, d.event_id, d.webhook, d.order_key, c.lease, c.run, c.most
    from unnest($1::text[], $2::int[], $3::interval[], $5::timestamptz[], $6::int[], $7::int[])
        as c (webhook, capacity, lease, floor, run, most)
    cross join lateral (
        select d.ctid, d.id, d.due_at, d.event_id, d.webhook, d.order_key
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
    select h.id as first, h.due_at, h.webhook, h.lease, h.run, h.most, f.id, f.event_id, f.ready,
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
    select f.id, f.ctid as tid
    from walpost.delivery f
    where f.id = any (array(select id from behind where n < run and ready)) and f.held and f.state in ('pending', 'retrying')
    for update skip locked
),
-- whole: nothing of the key is left out before it.
candidate as (
    select h.tid, h.event_id, h.id as first, h.due_at, 0::bigint as n, true as whole, h.webhook, h.lease, h.most
    from due h
    union all
    select l.tid, b.event_id, b.first, b.due_at, b.n,
        bool_and(l.id is not null) over (partition by b.first order by b.n), b.webhook, b.lease, b.most
    from behind b
    left join locked l on l.id = b.id
),
affordable as materialized (
    select c.*, max(n) over (partition by first) as taken
    from (
        select c.tid, c.first, c.due_at, c.n, c.whole, c.lease, c.most,
            max(c.n) over (partition by c.first) as owed,
            sum(b.bytes) filter (where c.whole) over (order by c.due_at, c.first, c.n) - b.bytes as before,
            count(*) filter (where c.whole) over (partition by c.webhook order by c.due_at, c.first, c.n) as place,
            e.id, e.aggregate_type, e.aggregate_id, e.type, e.payload, e.headers, e.created_at, e.committed_at, e.lsn
        from candidate c
        cross join lateral (select e.* from walpost.event e where e.id = c.event_id limit 1) e -- row by row: nobody can estimate how many
        cross join lateral (select coalesce(octet_length(e.payload), 0)) as b (bytes)
    ) c
    where whole and before <= $4::bigint and place <= most
),
claimed as (
    update walpost.delivery d
    set fence = d.fence + 1,
        leased_until = walpost.now() + a.lease,
        updated_at = walpost.now()
    from affordable a
    where d.ctid = a.tid
    returning d.id as delivery, d.topic, d.webhook, d.state, d.attempts, d.fence, a.due_at, d.order_key, d.order_lsn, d.order_n,
        a.owed > a.taken as more,
        a.id, a.aggregate_type, a.aggregate_id, a.type, a.payload, a.headers, a.created_at, a.committed_at, a.lsn
)
select c.delivery, c.topic, c.webhook, c.state, c.attempts, c.fence, c.due_at, coalesce(c.order_key, ''), coalesce(c.order_n, 0), c.more,
    c.id, c.aggregate_type, c.aggregate_id, c.type, c.payload, c.headers, c.created_at, c.committed_at, c.lsn::text
from claimed c
order by coalesce(c.order_lsn, c.lsn), c.order_n, c.delivery
