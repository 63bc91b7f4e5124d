-- Says that a disabled webhook is being enabled with replay: nothing of it is parked any more. Index: webhook_pkey.
update walpost.webhook set enabling_at = walpost.now() where name = $1 and disabled_at is not null
