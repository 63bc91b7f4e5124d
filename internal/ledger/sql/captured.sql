-- One captured value. Index: capture_pkey.
select value, lsn::text from walpost.capture where webhook = $1 and key = $2
