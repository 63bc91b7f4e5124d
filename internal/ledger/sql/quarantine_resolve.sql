-- Ends a quarantine entry whose event was routed, if nobody else has claimed it since. Index: quarantine_pkey.
update walpost.quarantine
set resolved_at = walpost.now(), leased_until = null
where id = $1 and fence = $2 and resolved_at is null
