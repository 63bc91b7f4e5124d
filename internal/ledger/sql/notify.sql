-- Wakes the daemons: something that a command or another daemon wrote is to be read. No index.
select pg_notify('walpost', '')
