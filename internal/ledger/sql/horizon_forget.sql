-- Forgets what is older than the newest sample of slot $1 that is as old as $2: no shorter retention asks for it. Index:
-- horizon_pkey.
delete from walpost.horizon h
where h.slot = $1 and h.at < (
    select max(n.at) from walpost.horizon n where n.slot = $1 and n.at <= walpost.now() - $2::interval
)
