-- One event. Index: event_pkey.
select id, aggregate_type, aggregate_id, type, payload, headers, created_at, committed_at, lsn::text
from walpost.event
where id = $1
