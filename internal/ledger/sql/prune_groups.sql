-- Webhooks and states of which deliveries have ended, found by skipping from one to the next. Index: delivery_finished.
with recursive g as (
    (
        select d.webhook, d.state
        from walpost.delivery d
        where d.finished_at is not null
        order by d.webhook, d.state
        limit 1
    )
    union all
    select n.webhook, n.state
    from g
    cross join lateral (
        select d.webhook, d.state
        from walpost.delivery d
        where d.finished_at is not null and (d.webhook, d.state) > (g.webhook, g.state)
        order by d.webhook, d.state
        limit 1
    ) n
)
select webhook, state from g
