-- The ledger's tables in the publication (@publication). Index: pg_publication_pubname_index.
select coalesce(jsonb_agg(t.tablename order by t.tablename), '[]')
from pg_catalog.pg_publication_tables t
where t.schemaname = 'walpost' and t.pubname = @publication
