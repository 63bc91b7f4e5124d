-- Clears the webhook's state. Index: webhook_pkey.
update walpost.webhook
set (disabled_at, disabled_by, disabled_why, enabling_at, updated_at)
    = row (null::timestamptz, null::text, null::text, null::timestamptz, walpost.now())
where name = $1 and disabled_at is not null
