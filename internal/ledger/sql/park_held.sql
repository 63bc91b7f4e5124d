-- Parks owed deliveries of a webhook that are held, if it is disabled for good, a chunk at a time; before those that they wait for,
-- so that none is left waiting for nothing. Gives their number, and the key from which the next chunk goes on ($3). Index:
-- delivery_order.
with picked as (
    select p.ctid as tid, p.order_key
    from walpost.delivery p
    where p.webhook = $1 and p.order_key >= $3 and p.held and p.state in ('pending', 'retrying')
        and exists (select from walpost.webhook w where w.name = $1 and w.disabled_at is not null and w.enabling_at is null)
    order by p.order_key
    limit $2
    for update
),
parked as (
    update walpost.delivery d
    set state = 'parked', updated_at = walpost.now()
    where d.ctid = any (array(select tid from picked))
)
select count(*), coalesce(max(order_key), $3) from picked
