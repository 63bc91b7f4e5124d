-- Says how far the table was read for slot $1, with the counters ($5) of what was resolved, in its owner's epoch ($2) and on its timeline ($4) only. Index: checkpoint_pkey.
update walpost.checkpoint
set walk = coalesce(nullif($3::text, '')::jsonb, walk), counters = $5
where slot = $1 and epoch = $2
    and $4::int = ('x' || substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int
