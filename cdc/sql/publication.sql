-- The publication ($1) and what it does with the table ($2 schema, $3 name). No row when it doesn't exist.
-- attnames and rowfilter are null before Postgres 15. The coverage is another text after every change of the publication
-- or of the table's part in it, also after one that was taken back; internal/ledger/sql/watermark.sql has it, too.
-- Index: pg_publication_pubname_index, pg_publication_rel_prrelid_prpubid_index.
select json_build_object(
  'all_tables', p.puballtables,
  'inserts', p.pubinsert,
  'changes', p.pubupdate or p.pubdelete or p.pubtruncate,
  'others', (select count(*) from pg_catalog.pg_publication_tables t
             where t.pubname = p.pubname and (t.schemaname, t.tablename) <> ($2, $3)),
  'table', (select json_build_object('columns', to_json(t) -> 'attnames', 'filter', to_json(t) ->> 'rowfilter')
            from pg_catalog.pg_publication_tables t
            where t.pubname = p.pubname and t.schemaname = $2 and t.tablename = $3),
  'coverage', (select concat_ws(' ', p.oid, p.xmin, r.prrelid, r.oid, r.xmin)
               from (select) one left join pg_catalog.pg_publication_rel r
                 on r.prpubid = p.oid and r.prrelid = to_regclass(quote_ident($2) || '.' || quote_ident($3)))
)
from pg_catalog.pg_publication p
where p.pubname = $1
