-- Deliveries by webhook and state, each counted up to $1, so that the cost doesn't grow with the table. The names are found by
-- skipping from one to the next. Indexes: delivery_due, delivery_parked, delivery_finished.
with recursive owing as (
    (select webhook from walpost.delivery where state in ('pending', 'retrying') order by webhook limit 1)
    union all
    select (
        select d.webhook from walpost.delivery d
        where d.state in ('pending', 'retrying') and d.webhook > o.webhook order by d.webhook limit 1
    )
    from owing o where o.webhook is not null
),
parking as (
    (select webhook from walpost.delivery where state = 'parked' order by webhook limit 1)
    union all
    select (
        select d.webhook from walpost.delivery d
        where d.state = 'parked' and d.webhook > p.webhook order by d.webhook limit 1
    )
    from parking p where p.webhook is not null
),
ended as (
    (select webhook from walpost.delivery where finished_at is not null order by webhook limit 1)
    union all
    select (
        select d.webhook from walpost.delivery d
        where d.finished_at is not null and d.webhook > e.webhook order by d.webhook limit 1
    )
    from ended e where e.webhook is not null
)
select o.webhook, c.state, c.n, c.due, c.all_n = $1::int
from owing o
cross join lateral (
    select state, count(*) as n, min(nullif(due_at, 'infinity')) as due, sum(count(*)) over () as all_n
    from (
        select d.state, d.due_at from walpost.delivery d
        where d.webhook = o.webhook and d.state in ('pending', 'retrying') order by d.due_at limit $1
    ) d
    group by state
) c
where o.webhook is not null
union all
select p.webhook, 'parked', c.n, null, c.n = $1
from parking p
cross join lateral (
    select count(*) as n
    from (
        select from walpost.delivery d where d.webhook = p.webhook and d.state = 'parked' order by d.created_at limit $1
    ) d
) c
where p.webhook is not null
union all
select e.webhook, s.state, c.n, null, c.n = $1
from ended e
cross join unnest(array['delivered', 'failed', 'cancelled']) as s (state)
cross join lateral (
    select count(*) as n
    from (
        select from walpost.delivery d
        where d.webhook = e.webhook and d.state = s.state and d.finished_at is not null
        order by d.webhook, d.state limit $1
    ) d
) c
where e.webhook is not null and c.n > 0
order by 1, 2
