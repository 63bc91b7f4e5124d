-- Tables of a publication of updates or deletes (@publication) whose rows have no replica identity: the host can't update
-- or delete them. Indexes: pg_publication_pubname_index, pg_class_relname_nsp_index, pg_index_indrelid_index.
select coalesce(jsonb_agg(t.schemaname || '.' || t.tablename order by t.schemaname, t.tablename), '[]')
from pg_catalog.pg_publication p
join pg_catalog.pg_publication_tables t on t.pubname = p.pubname
join pg_catalog.pg_namespace n on n.nspname = t.schemaname
join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = t.tablename
where p.pubname = @publication
  and (p.pubupdate or p.pubdelete)
  and (c.relreplident = 'n' or c.relreplident in ('d', 'i') and not exists (
    select from pg_catalog.pg_index i
    where i.indrelid = c.oid and case c.relreplident when 'd' then i.indisprimary else i.indisreplident end))
