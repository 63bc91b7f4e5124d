-- Lets the transaction commit in the slot's newest epoch only. Index: checkpoint_pkey.
select walpost.fence($1, $2)
