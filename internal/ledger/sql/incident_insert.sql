-- A new incident. No index.
insert into walpost.incident (kind, at, lsn_from, lsn_to, detail)
values ($1, walpost.now(), nullif($2::text, '0/0')::pg_lsn, nullif($3::text, '0/0')::pg_lsn, $4)
returning id
