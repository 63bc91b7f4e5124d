-- The file of a table ($1, its OID): another one after every rewrite. No row when the table is gone.
-- Index: pg_class_oid_index.
select json_build_object('file', pg_catalog.pg_relation_filenode(c.oid)::bigint)
from pg_catalog.pg_class c
where c.oid = $1::oid
