-- Incidents, newest first; only open ones if $1. Index: incident_pkey backwards.
select id, slot, kind, at, lsn_from::text, lsn_to::text, detail, resolved_at
from walpost.incident
where resolved_at is null or not $1::boolean
order by id desc
limit $2
