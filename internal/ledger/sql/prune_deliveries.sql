-- Deletes finished deliveries of a webhook ($3) and state ($4) that are old, a chunk at a time; gives their events and when they
-- ended. The next chunk goes on from there ($5), so that it doesn't walk over those that this one has left dead. Index:
-- delivery_finished.
with old as (
    select d.id
    from walpost.delivery d
    where d.webhook = $3 and d.state = $4 and d.finished_at >= $5 and d.finished_at < walpost.now() - $1::interval
        and not exists (
            -- Stays until its event may go too: nobody would look at the event again.
            select from walpost.event e where e.id = d.event_id and e.recorded_at > walpost.now() - interval '5 minutes'
        )
    order by d.finished_at
    limit $2
    for update skip locked
)
delete from walpost.delivery d
where d.id = any (array(select id from old))
returning d.event_id, d.finished_at
