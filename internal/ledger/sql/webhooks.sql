-- Run-time state of all webhooks that have one: a handful of rows, read whole.
select name, disabled_at, disabled_by, disabled_why, updated_at from walpost.webhook order by name
