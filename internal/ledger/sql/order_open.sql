-- Those of the given keys of a webhook of which something is owed. Index: delivery_order.
select k.key
from unnest($2::text[]) as k (key)
where exists (
    select from walpost.delivery d
    where d.webhook = $1 and d.order_key = k.key and d.state in ('pending', 'retrying')
)
