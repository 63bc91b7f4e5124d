-- The rows of a leaf in a range of blocks (from $1 up to $2) that were created since $4, if that is asked for: whether their
-- transaction is below $3, and their columns. A TID range scan, from Postgres 14 on; no index.
select {below}, {columns}
from only {table} t
where t.ctid >= $1::tid and t.ctid < $2::tid
    and {created}
    and {wanted}
