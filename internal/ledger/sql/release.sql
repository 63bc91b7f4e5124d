-- Makes parked deliveries of an enabled webhook due, oldest first, with a new schedule. Index: delivery_parked.
update walpost.delivery d
set state = 'pending', attempts = 0, due_at = walpost.now(), fence = d.fence + 1, updated_at = walpost.now()
where d.id = any (array(
    select p.id
    from walpost.delivery p
    where p.webhook = $1 and p.state = 'parked'
        and not exists (select from walpost.webhook w where w.name = $1 and w.disabled_at is not null)
    order by p.created_at
    limit $2
    for update skip locked
))
