-- Deletes resolved quarantine entries that are old, a chunk at a time; gives their events. No index: entries are few.
with old as (
    select q.id
    from walpost.quarantine q
    where q.resolved_at < walpost.now() - $1::interval
        and not exists (
            select from walpost.event e where e.id = q.event_id and e.recorded_at > walpost.now() - interval '5 minutes'
        )
    limit $2
    for update skip locked
)
delete from walpost.quarantine q
where q.id = any (array(select id from old))
returning q.event_id
