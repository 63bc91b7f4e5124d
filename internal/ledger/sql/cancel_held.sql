-- Cancels deliveries that have been parked for longer than $1, a chunk at a time. Index: delivery_parked, read whole: a
-- webhook that is disabled for that long is rare. A new fence shuts out an attempt that was running when it was parked.
update walpost.delivery d
set state = 'cancelled', last_class = 'held', last_verdict = 'rejected', fence = d.fence + 1, updated_at = walpost.now(),
    finished_at = walpost.now()
where d.id = any (array(
    select p.id
    from walpost.delivery p
    where p.state = 'parked' and p.created_at < walpost.now() - $1::interval and p.updated_at < walpost.now() - $1::interval
    limit $2
    for update skip locked
))
