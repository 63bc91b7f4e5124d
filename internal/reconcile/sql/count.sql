-- How many of them are below $3. A TID range scan; no index.
select count(*)
from only {table} t
where t.ctid >= $1::tid and t.ctid < $2::tid
    and {created}
    and {below}
