-- A snapshot, a position above the commits of all that it sees (the statement's snapshot is taken before the position is
-- read), and the coverage of a table ($2 schema, $3 name) by a publication ($1) that it sees, as in cdc/sql/publication.sql.
-- Index: pg_publication_pubname_index, pg_publication_rel_prrelid_prpubid_index.
select pg_catalog.pg_current_snapshot()::text, pg_catalog.pg_current_wal_insert_lsn()::text,
    coalesce((select pg_catalog.concat_ws(' ', p.oid, p.xmin, r.prrelid, r.oid, r.xmin)
              from pg_catalog.pg_publication p left join pg_catalog.pg_publication_rel r
                on r.prpubid = p.oid and r.prrelid = pg_catalog.to_regclass(pg_catalog.quote_ident($2) || '.' || pg_catalog.quote_ident($3))
              where p.pubname = $1), '')
