-- What polling needs of a table ($1, its OID): the column of transaction ids ($2), that of the rows' ids ($3), and an index
-- that begins with both. added is the newest transaction that has added the column to rows that were there.
-- Index: pg_attribute_relid_attnam_index, pg_attrdef_adrelid_adnum_index, pg_index_indrelid_index.
select json_build_object(
  'type', pg_catalog.format_type(x.atttypid, null),
  'not_null', x.attnotnull,
  'default', pg_catalog.pg_get_expr(d.adbin, d.adrelid),
  'id_not_null', i.attnotnull,
  'index', exists (
    select from pg_catalog.pg_index n
    join pg_catalog.pg_class c on c.oid = n.indexrelid
    join pg_catalog.pg_am m on m.oid = c.relam
    where n.indrelid = $1::oid and n.indisvalid and n.indpred is null and m.amname = 'btree'
      and n.indkey[0] = x.attnum and n.indkey[1] = i.attnum),
  'added', coalesce((
    select max((a.attmissingval::text::text[])[1]::bigint)
    from pg_catalog.pg_attribute a
    where a.attname = $2 and a.atthasmissing
      and (a.attrelid = $1::oid or a.attrelid in (select relid from pg_catalog.pg_partition_tree($1::oid::regclass)))), 0)
)
from pg_catalog.pg_attribute i
left join pg_catalog.pg_attribute x on x.attrelid = i.attrelid and x.attname = $2 and x.attnum > 0 and not x.attisdropped
left join pg_catalog.pg_attrdef d on d.adrelid = x.attrelid and d.adnum = x.attnum
where i.attrelid = $1::oid and i.attname = $3
