-- The open breakers of some daemons ($1). Index: breaker_pkey.
select webhook, daemon, opened_at, why from walpost.breaker where daemon = any ($1::text[]) order by webhook, opened_at, daemon
