-- The keys of a webhook of which something is owed, up to $2 of them from after $3 on, and whether nothing of it is out. One
-- step through index delivery_order for each key, whatever waits of it.
with recursive k as (
    (
        select d.order_key, d.held
        from walpost.delivery d
        where d.webhook = $1 and d.order_key is not null and d.order_key > $3 and d.state in ('pending', 'retrying')
        order by d.order_key, d.held
        limit 1
    )
    union all
    select n.order_key, n.held
    from k
    cross join lateral (
        select d.order_key, d.held
        from walpost.delivery d
        where d.webhook = $1 and d.order_key > k.order_key and d.state in ('pending', 'retrying')
        order by d.order_key, d.held
        limit 1
    ) n
)
select order_key, held from k limit $2
