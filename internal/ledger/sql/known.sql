-- States of those deliveries that are recorded. Indexes: delivery_pkey, attempt_delivery.
select id, state from walpost.delivery where id = any ($1::uuid[])
union
select a.delivery_id, 'delivered'
from walpost.attempt a
where a.delivery_id = any ($1::uuid[]) and a.sole
    and not exists (select from walpost.delivery d where d.id = a.delivery_id)
