// Package cdc is a durable, resumable stream of the committed rows of one table, read over PostgreSQL
// logical replication (pgoutput, protocol version 1).
//
// A Source owns one replication slot. It hands rows over in commit order, before their commit message has
// arrived (the server sends committed transactions only), so that a transaction of any size passes in
// bounded memory. Each row is resolved exactly once by whoever took it; the tracker turns that into the
// longest prefix of transactions that are resolved, which is the only thing that can be confirmed to the
// server. A row is therefore delivered at least once, in any crash, and a rolled-back row never.
//
// Which rows belong to the table: those whose relation has the table's OID as found at the last connect,
// or carries its configured name. Rows written before a rename, and rows of a table that was dropped and
// created anew while nobody listened, are thus still read. What must hold now is checked at every connect
// and every 30 s: the configured name exists, and the publication covers it; otherwise Run stops with a
// SetupError that says so.
//
// References: https://www.postgresql.org/docs/current/protocol-replication.html (streaming commands,
// status updates), https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html.
package cdc
