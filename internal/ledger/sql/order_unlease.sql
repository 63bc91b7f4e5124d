-- Gives back what was claimed behind deliveries of the given keys ($1, $2: webhook, key) that were not brought to an end: it
-- is not attempted. No claim brings more of a key than $3. Index: delivery_order.
update walpost.delivery d
set leased_until = null, fence = d.fence + 1
where d.id = any (array(
    select f.id
    from unnest($1::text[], $2::text[]) as t (webhook, key)
    cross join lateral (
        select f.id, f.leased_until
        from walpost.delivery f
        where f.webhook = t.webhook and f.order_key = t.key and f.held and f.state in ('pending', 'retrying')
        order by f.order_lsn, f.order_n, f.id
        limit $3
    ) f
    where f.leased_until > walpost.now()
))
