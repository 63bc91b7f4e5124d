-- What is in quarantine, newest first; a parameter that is null doesn't filter. Index: quarantine_open.
select id, event_id, rule, webhook, topic, diagnostic, at, replay_requested_at
from walpost.quarantine
where resolved_at is null
    and ($1::text is null or event_id = $1)
    and ($2::text is null or webhook = $2)
    and ($3::text is null or topic = $3)
    and ($4::timestamptz is null or at >= $4)
    and ($5::bigint is null or id < $5)
order by id desc
limit $6
