-- The lowest due time of what is owed, at or above the given ones ($2) of webhooks ($1), by place; NULL: nothing is owed. What is
-- attempted counts. Index: delivery_due.
select c.n,
    (
        select d.due_at
        from walpost.delivery d
        where d.webhook = c.webhook and d.state in ('pending', 'retrying') and not d.held
            and d.due_at >= c.floor and d.due_at < 'infinity'
        order by d.due_at
        limit 1
    ),
    walpost.now()
from unnest($1::text[], $2::timestamptz[]) with ordinality as c (webhook, floor, n)
