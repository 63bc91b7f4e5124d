//go:build unix

// Package faults tries to make walpost lose an event, invent one, or repeat one without a reason.
//
// A suite runs a Postgres of its own, a walpost in a process of its own (this test's program, started again), a
// receiver, and a TCP proxy between walpost and Postgres:
//
//		workload ──────────────▶ Postgres ◀── proxy ──▶ walpost ──▶ receiver
//		    │ what it committed                                        │ every request
//		    └──────────────▶ checker ◀── ledger ◀───────────────────────┘
//
//	  - workload.go, transactions.go, rows.go: concurrent transactions of every shape, and the record of what was committed
//	  - webhooks.go, rules.go: the configuration, with what each endpoint's script demands, and its edits
//	  - receiver.go: records each request, and misbehaves on command
//	  - proxy.go: delays, freezes, cuts and resets connections
//	  - process.go: walpost as a process that may be killed, frozen and drained
//	  - faults.go: a fault is a named value with inject and heal; the goroutines that inject them
//	  - processfaults.go, hostfaults.go, endpointfaults.go, streamfaults.go, pollfaults.go, operatorfaults.go, disk_linux.go: the faults
//	  - source.go: what is different for a walpost that streams and one that polls
//	  - checker.go, arrivals.go, order.go, repeats.go: the invariants of DESIGN §3, asked of the three records
//	  - story.go, journal.go, recoverytimes.go, summary.go: what is told of it
//
// Hands, one goroutine each, inject faults side by side: into the daemon's process, into Postgres and the network, into the
// endpoints, into what the source needs, and into what an operator does. Each plays its faults as a deck of cards that is shuffled anew when it is through, so even
// a short run meets every kind. When the time is over everything is healed, the rest is delivered, and the checker speaks:
//
//   - lost: a committed row whose deliveries neither arrived nor are accounted for in the ledger as their endpoint demands
//   - ghost: something that arrived or is in the ledger, and wasn't committed (rolled back, to a savepoint too)
//   - identity: two ids for one delivery, or one id for two; two bodies for one delivery; a wrong signature
//   - repeat: an attempt after a success, without a fault that explains it; explained ones are counted by cause
//   - schedule: an attempt before its time; gone, cancelled: one after a 410, or a cancellation
//   - owed: something is unfinished although all is well, or the slot doesn't move
//   - counters, incidents: what walpost says of it isn't so
//
// TestFailpoints kills a walpost at every step by name, TestLosses and TestLostSlotIsRecovered break the stream for good,
// TestSessions has connections that end without a word.
//
// How to run it:
//
//	go test ./internal/faults                                        # short: 15 s of faults with each source, about a minute in all
//	FAULTS_MODE=polling FAULTS_FOR=1h go test -v -timeout 0 -run TestFaults ./internal/faults
//	FAULTS_FOR=1h go test -v -timeout 0 -run TestFaults ./internal/faults
//	FAULTS_SEED=42 FAULTS_ONLY='kill|restart' go test -v ./internal/faults
//
// The seed is printed. It makes the decks and each worker's rows the same again; the machine's timing it can't. A
// violation is told with the story of its event, and the folder with everybody's logs is kept. FAULTS_WORKERS is the load
// (4). docs/faults.md tells more.
//
// Lost slots are in loss_test.go, beside publications that are dropped or altered: then walpost must stop, say so, leave an
// incident, and recover when the publication is put back.
package faults
