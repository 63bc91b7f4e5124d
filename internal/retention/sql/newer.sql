-- Whether a leaf has a row that is not below the horizon ($1). Reads the leaf, no index. xmin is widened as in delete.sql.
select exists (
    select
    from only {table} t
    where (select pg_snapshot_xmax(pg_current_snapshot())::text::bigint)
        - (((select pg_snapshot_xmax(pg_current_snapshot())::text::bigint) - t.xmin::text::bigint) & 4294967295) >= $1::bigint
)
