-- Ends a recovery: resolves the open incidents of kinds $2 at slot $1 that end at or below $3, the end of the walk $4, and makes the
-- snapshot in which this walk has read ($5, of coverage $6) the checkpoint's. So nobody who starts later takes for lost again what
-- was read. If the walk is another by now, or if one of the incidents isn't over, the checkpoint stays. It is by what the ledger has
-- that the walk is resolved, so any epoch may do it. Indexes: checkpoint_pkey, incident_open.
with over as (
    update walpost.incident
    set resolved_at = walpost.now()
    where slot = $1 and kind = any ($2::text[]) and resolved_at is null and lsn_to <= $3::text::pg_lsn
)
update walpost.checkpoint
set snapshot = $5::text::pg_snapshot, snapshot_lsn = $3::text::pg_lsn, coverage = $6, walk = null
where slot = $1 and walk = $4::text::jsonb and snapshot::text in (walk ->> 'gap', walk ->> 'since')
    and not exists (select from walpost.incident i
        where i.slot = $1 and i.kind = any ($2::text[]) and i.resolved_at is null and (i.lsn_to is null or i.lsn_to > $3::text::pg_lsn))
