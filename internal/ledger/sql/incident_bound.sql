-- Says where the open incidents of kinds $2 at slot $1 end. Index: incident_open.
update walpost.incident
set lsn_to = $3::text::pg_lsn, detail = detail || '; ' || $4
where slot = $1 and kind = any ($2::text[]) and resolved_at is null and lsn_to is distinct from $3::text::pg_lsn
