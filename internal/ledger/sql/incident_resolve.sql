-- Ends an incident; the first end counts. Index: incident_pkey.
update walpost.incident set resolved_at = walpost.now() where id = $1 and resolved_at is null
