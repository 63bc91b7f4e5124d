-- Locks webhooks against other changes of what is owed in order, and of whether they are enabled, until the commit; in
-- the order of their names, so that nobody waits in a circle. A null locks all. Index: webhook_pkey.
select name from walpost.webhook where $1::text[] is null or name = any ($1) order by name for no key update
