-- Makes the checkpoint of slot $1 one of this database ($2 system, $3 timeline), of which what a snapshot ($4: kept, now, or
-- none) doesn't see is to be read from the table: the incident says so. Older ones of the stream are over.
-- Index: checkpoint_pkey, incident_open.
with adopted as (
    update walpost.checkpoint
    set system_id = $2, timeline = $3, epoch = epoch + 1, drained = false, coverage = '', walk = null,
        lsn = pg_catalog.pg_current_wal_insert_lsn(), snapshot_lsn = pg_catalog.pg_current_wal_insert_lsn(),
        snapshot = case $4::text when 'kept' then snapshot when 'now' then pg_catalog.pg_current_snapshot() else '3:3:' end,
        updated_at = pg_catalog.now(), written_by = pg_catalog.pg_current_xact_id()
    where slot = $1 and ($4::text <> 'kept' or snapshot is not null)
    returning lsn
), over as (
    update walpost.incident
    set resolved_at = walpost.now(), detail = detail || '; adopted'
    where slot = $1 and resolved_at is null and exists (select from adopted)
)
insert into walpost.incident (slot, kind, at, lsn_from, detail)
select $1, 'adopted', walpost.now(), adopted.lsn, $5 from adopted
