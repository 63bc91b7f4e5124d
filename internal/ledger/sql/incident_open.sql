-- The newest open incident of kinds $2 at slot $1 that isn't known to end at or below $3; with 0/0, whose end isn't known.
-- Index: incident_open.
select id, kind, at, lsn_from::text, lsn_to::text, detail
from walpost.incident
where slot = $1 and kind = any ($2::text[]) and resolved_at is null
    and (lsn_to is null or ($3::text <> '0/0' and lsn_to > $3::text::pg_lsn))
order by lsn_to is not null, id desc
limit 1
