-- The log of one delivery, oldest first. Index: attempt_delivery.
select n, at, verdict, class, status, duration_ms, excerpt, replica
from walpost.attempt
where delivery_id = $1
order by at, n
