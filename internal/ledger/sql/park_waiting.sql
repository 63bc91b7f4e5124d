-- Parks owed deliveries of a webhook that are not held, if it is disabled for good. Index: delivery_due.
-- The fence stays: an attempt that is running may still report.
update walpost.delivery d
set state = 'parked', updated_at = walpost.now()
where d.id = any (array(
    select p.id
    from walpost.delivery p
    where p.webhook = $1 and p.state in ('pending', 'retrying') and not p.held
        and exists (select from walpost.webhook w where w.name = $1 and w.disabled_at is not null and w.enabling_at is null)
    order by p.due_at
    limit $2
    for update skip locked
))
