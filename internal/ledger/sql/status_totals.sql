-- What needs somebody's attention, and the ledger's clock. Index: quarantine_open.
select walpost.now(),
    (select max(version) from walpost.migration),
    (select count(*) from walpost.quarantine where resolved_at is null)
