-- Makes the partitions of the next days and drops old ones. No index.
select walpost.roll_attempts($1::interval, $2)
