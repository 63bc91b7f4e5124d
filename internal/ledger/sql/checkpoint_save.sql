-- Moves the checkpoint, in its owner's epoch only and never back, and only on a server that is still on the timeline of the
-- position ($9): a standby that was promoted knows nothing of what the old primary sent after it. Its time is compared with commit times, so it is the
-- server's and not that of schedules. A walk ends with the snapshot whose gap it was for. Index: checkpoint_pkey.
update walpost.checkpoint
set lsn = greatest(lsn, $3::text::pg_lsn),
    walk = case when nullif($4::text, '') <> snapshot::text then null else coalesce(nullif($10::text, '')::jsonb, walk) end,
    snapshot = coalesce(nullif($4::text, '')::pg_snapshot, snapshot),
    snapshot_lsn = case when $4::text = '' then snapshot_lsn else $5::text::pg_lsn end,
    coverage = case when $4::text = '' then coverage else $8::text end,
    counters = $6,
    drained = $7,
    updated_at = pg_catalog.now(),
    written_by = pg_catalog.pg_current_xact_id()
where slot = $1 and epoch = $2
    and $9::int = ('x' || substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_insert_lsn()), 1, 8))::bit(32)::int
