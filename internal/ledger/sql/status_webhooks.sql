-- Deliveries by webhook and state. Reads the whole table: exact numbers, a second or two at ten million rows.
select webhook, state, count(*), min(due_at) filter (where state in ('pending', 'retrying'))
from walpost.delivery
group by webhook, state
order by webhook, state
