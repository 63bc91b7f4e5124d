-- The publication and what it does with the outbox table: @publication, @schema, @table. No row when it doesn't exist. ages
-- are in transactions. attnames and rowfilter are null before Postgres 15. Indexes: pg_publication_pubname_index,
-- pg_publication_rel_prrelid_prpubid_index.
select jsonb_build_object(
  'all_tables', p.puballtables,
  'insert', p.pubinsert,
  'changes', p.pubupdate or p.pubdelete or p.pubtruncate,
  'via_root', coalesce((to_jsonb(p) ->> 'pubviaroot')::boolean, false),
  'age', pg_catalog.age(p.xmin),
  'owner', pg_catalog.pg_get_userbyid(p.pubowner),
  'others', (select count(*) from pg_catalog.pg_publication_tables t
             where t.pubname = p.pubname and (t.schemaname, t.tablename) <> (@schema, @table)),
  'table', (select jsonb_build_object('columns', to_jsonb(t) -> 'attnames', 'filter', to_jsonb(t) ->> 'rowfilter')
            from pg_catalog.pg_publication_tables t
            where t.pubname = p.pubname and t.schemaname = @schema and t.tablename = @table),
  'table_age', (select pg_catalog.age(r.xmin)
                from pg_catalog.pg_publication_rel r
                join pg_catalog.pg_class c on c.oid = r.prrelid
                join pg_catalog.pg_namespace n on n.oid = c.relnamespace
                where r.prpubid = p.oid and n.nspname = @schema and c.relname = @table)
)
from pg_catalog.pg_publication p
where p.pubname = @publication
