-- Makes those parked deliveries without an order_key of an enabled webhook due, oldest first, with a new schedule; gives their number and when the last
-- was recorded, from where the next chunk goes on ($2) without looking at this one again. Index: delivery_parked.
with picked as (
    select p.id, p.created_at
    from walpost.delivery p
    where p.webhook = $1 and p.state = 'parked' and p.order_key is null and p.created_at >= $2::timestamptz
        and not exists (select from walpost.webhook w where w.name = $1 and w.disabled_at is not null)
    order by p.created_at
    limit $3
    for update
),
moved as (
    update walpost.delivery d
    set state = 'pending', attempts = 0, due_at = walpost.now(), leased_until = null, fence = d.fence + 1, updated_at = walpost.now()
    where d.id = any (array(select id from picked))
)
select count(*), coalesce(max(created_at), $2) from picked
