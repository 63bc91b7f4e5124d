-- The publication ($1) and what it does with the table ($2 schema, $3 name). No row when it doesn't exist.
-- attnames and rowfilter are null before Postgres 15. Index: pg_publication_pubname_index.
select json_build_object(
  'all_tables', p.puballtables,
  'inserts', p.pubinsert,
  'changes', p.pubupdate or p.pubdelete or p.pubtruncate,
  'others', (select count(*) from pg_catalog.pg_publication_tables t
             where t.pubname = p.pubname and (t.schemaname, t.tablename) <> ($2, $3)),
  'table', (select json_build_object('columns', to_json(t) -> 'attnames', 'filter', to_json(t) ->> 'rowfilter')
            from pg_catalog.pg_publication_tables t
            where t.pubname = p.pubname and t.schemaname = $2 and t.tablename = $3)
)
from pg_catalog.pg_publication p
where p.pubname = $1
