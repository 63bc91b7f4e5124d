-- What the role may, beside its rights on tables. Index: pg_authid_rolname_index.
select jsonb_build_object(
  'name', r.rolname,
  'super', r.rolsuper,
  'replication', r.rolreplication or exists (
    select from pg_catalog.pg_roles g where g.rolname = 'rds_replication' and pg_catalog.pg_has_role(r.oid, g.oid, 'member')),
  'bypass', r.rolbypassrls,
  'create', pg_catalog.has_database_privilege(pg_catalog.current_database(), 'create')
)
from pg_catalog.pg_roles r
where r.rolname = current_user
