-- Asks for quarantined events to be routed again. Index: quarantine_open.
update walpost.quarantine
set replay_requested_at = walpost.now(), leased_until = null
where resolved_at is null
    and ($1::text is null or event_id = $1)
    and ($2::text is null or webhook = $2)
    and ($3::text is null or topic = $3)
    and ($4::timestamptz is null or at >= $4)
