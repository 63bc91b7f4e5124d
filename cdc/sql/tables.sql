-- Names of the user's tables, to suggest one for a name that doesn't exist. Scans pg_class, once and only then.
select coalesce(json_agg(json_build_object('schema', t.nspname, 'name', t.relname)), '[]')
from (
  select n.nspname, c.relname
  from pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p') and n.nspname not like 'pg\_%' and n.nspname <> 'information_schema'
  limit 2000
) t
