-- Cancels deliveries that have been parked for longer than $1, a chunk at a time. The webhooks are found by skipping from one to
-- the next, and of each what is old alone is read. Index: delivery_parked. A new fence shuts out an attempt that was running
-- when it was parked.
with recursive parking as (
    (select p.webhook from walpost.delivery p where p.state = 'parked' order by p.webhook limit 1)
    union all
    select n.webhook
    from parking
    cross join lateral (
        select p.webhook from walpost.delivery p
        where p.state = 'parked' and p.webhook > parking.webhook order by p.webhook limit 1
    ) n
)
update walpost.delivery d
set state = 'cancelled', last_class = 'held', last_verdict = 'rejected', fence = d.fence + 1, updated_at = walpost.now(),
    finished_at = walpost.now()
where d.id = any (array(
    select o.id
    from parking
    cross join lateral (
        select p.id
        from walpost.delivery p
        where p.webhook = parking.webhook and p.state = 'parked'
            and p.created_at < walpost.now() - $1::interval and p.updated_at < walpost.now() - $1::interval
        order by p.created_at
        limit $2
        for update skip locked
    ) o
    limit $2
))
