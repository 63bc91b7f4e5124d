-- The version of the ledger's schema. Index: migration_pkey.
select to_jsonb(coalesce(max(version), 0)) from walpost.migration
