-- Resolves the open incidents of kinds $2 at slot $1 that end at or below $3. Index: incident_open.
update walpost.incident
set resolved_at = walpost.now()
where slot = $1 and kind = any ($2::text[]) and resolved_at is null and lsn_to <= $3::text::pg_lsn
