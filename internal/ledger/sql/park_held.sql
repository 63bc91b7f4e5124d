-- Parks owed deliveries of a webhook that are held, if it is disabled for good; before those that they wait for, so that
-- none is left waiting for nothing. Index: delivery_order.
update walpost.delivery d
set state = 'parked', updated_at = walpost.now()
where d.id = any (array(
    select p.id
    from walpost.delivery p
    where p.webhook = $1 and p.order_key is not null and p.held and p.state in ('pending', 'retrying')
        and exists (select from walpost.webhook w where w.name = $1 and w.disabled_at is not null and w.enabling_at is null)
    limit $2
    for update
))
