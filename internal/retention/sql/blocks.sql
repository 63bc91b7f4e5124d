-- The blocks of a leaf ($1, its quoted name). No index.
select pg_catalog.pg_relation_size($1::text::regclass) / current_setting('block_size')::bigint
