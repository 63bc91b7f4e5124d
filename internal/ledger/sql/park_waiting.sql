-- Parks owed deliveries of a webhook that are not held, if it is disabled for good, a chunk at a time. Gives their number, and
-- the due time from which the next chunk goes on ($3). Index: delivery_due. The fence stays: an attempt that is running may
-- still report.
with picked as (
    select p.ctid as tid, p.due_at
    from walpost.delivery p
    where p.webhook = $1 and p.due_at >= $3::timestamptz and p.state in ('pending', 'retrying') and not p.held
        and exists (select from walpost.webhook w where w.name = $1 and w.disabled_at is not null and w.enabling_at is null)
    order by p.due_at
    limit $2
    for update skip locked
),
parked as (
    update walpost.delivery d
    set state = 'parked', updated_at = walpost.now()
    where d.ctid = any (array(select tid from picked))
)
select count(*), coalesce(max(due_at), $3) from picked
