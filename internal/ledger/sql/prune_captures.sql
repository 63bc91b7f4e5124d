-- Deletes old captures, a chunk at a time, but for those that are being replaced. Index: capture_age.
delete from walpost.capture
where (webhook, key) in (
    select webhook, key from walpost.capture
    where captured_at < walpost.now() - $1::interval
    order by captured_at
    limit $2
    for update skip locked
)
