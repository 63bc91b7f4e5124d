-- Makes parked deliveries that have an order_key owed again with a new schedule, in commit order, and gives their keys.
-- order_settle.sql lets one of each out. Nothing if the webhook was disabled anew. Index: delivery_parked_order.
with picked as (
    select p.id
    from walpost.delivery p
    where p.webhook = $1 and p.state = 'parked' and p.order_key is not null
        and not exists (
            select from walpost.webhook w where w.name = $1 and w.disabled_at is not null and w.enabling_at is null
        )
    order by p.order_lsn, p.order_n, p.id
    limit $2
    for update
)
update walpost.delivery d
set state = 'pending', attempts = 0, due_at = 'infinity', leased_until = null, fence = d.fence + 1, held = true,
    updated_at = walpost.now()
where d.id = any (array(select id from picked))
returning d.order_key
