-- A new incident. No index.
insert into walpost.incident (slot, kind, at, lsn_from, lsn_to, detail)
values ($1, $2, walpost.now(), nullif($3::text, '0/0')::pg_lsn, nullif($4::text, '0/0')::pg_lsn, $5)
returning id
