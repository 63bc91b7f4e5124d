package failpoint

// Point is a named place in the way of a row.
type Point uint8

// The points, in the order in which a row, a drain and a recovery come by.
const (
	// Decoded: a row was read from the stream and not handed over.
	Decoded Point = iota + 1
	// HandedOver: a batch of rows was given to the router.
	HandedOver
	// Received: the commit of a transaction was read; its rows are on their way.
	Received
	// Routed: the deliveries of an event are known, and none has gone on.
	Routed
	// Queued: a delivery waits in its webhook's queue.
	Queued
	// BeforeRequest: an attempt is about to send.
	BeforeRequest
	// AfterResponse: an attempt was answered, and nobody knows but us.
	AfterResponse
	// BeforeLedgerWrite: a batch of outcomes is about to be written.
	BeforeLedgerWrite
	// AfterLedgerCommit: it is committed, and those who wait for it don't know.
	AfterLedgerCommit
	// AfterLedgerDone: they know.
	AfterLedgerDone
	// WebhookDisabled: a 410 is durable, and its queue doesn't know.
	WebhookDisabled
	// BeforeCheckpoint: a position is resolved and not yet in the ledger.
	BeforeCheckpoint
	// AfterCheckpoint: it is in the ledger.
	AfterCheckpoint
	// BeforeConfirm: what the checkpoint has ended is settled too; the stream doesn't know the position.
	BeforeConfirm
	// AfterConfirm: the stream knows the position, the server doesn't.
	AfterConfirm
	// AfterStatus: the server was told a new position.
	AfterStatus
	// ClaimTaken: due deliveries were leased from the ledger and not queued.
	ClaimTaken
	// QuarantineClaimed: quarantined events were taken to be routed again.
	QuarantineClaimed
	// QuarantineRouted: the deliveries of one are owed, and its entry isn't ended.
	QuarantineRouted
	// SlotAcquired: the epoch is ours, and nothing was read.
	SlotAcquired
	// ReloadChecked: a changed configuration is good, and no running part was touched.
	ReloadChecked
	// ReloadAdopted: the running parts have it.
	ReloadAdopted
	// DrainBegun: the first signal was heard.
	DrainBegun
	// DrainIntakeEnded: no more rows and claims are taken.
	DrainIntakeEnded
	// DrainCheckpointed: what waited and what runs is owed, and the last checkpoint is written.
	DrainCheckpointed
	// DrainConfirmed: the stream has told the last position, and not ended.
	DrainConfirmed
	// DrainQueuesEmpty: another daemon may lead, and what ran has ended.
	DrainQueuesEmpty
	// DrainFlushed: the ledger has it all.
	DrainFlushed
	// Marked: polling has found that there is something new, and read nothing of it.
	Marked
	// Settled: what polling has read is on the server's disk, and a checkpoint may have passed it.
	Settled
	// OlderRead: polling has read the rows that are older than its column, and no checkpoint knows.
	OlderRead
	// HorizonNoted: how far the outbox is resolved is noted, and nothing was deleted.
	HorizonNoted
	// RowsPruned: a statement has deleted rows.
	RowsPruned
	// LossRecorded: the loss of a slot is an incident, and nothing was done about it.
	LossRecorded
	// SlotDropped: what was left of the lost slot is gone, and there is no new one.
	SlotDropped
	// SlotMade: there is a new slot, and the gap before it wasn't read.
	SlotMade
	// WalkBegun: the table is seen in a snapshot, and nothing of it was read.
	WalkBegun
	// WalkSaved: the ledger knows how far it was read.
	WalkSaved
	// GapReading: some rows of the gap were handed over.
	GapReading
	// GapRead: all were, and the incident doesn't say where the gap ends.
	GapRead
	// GapBounded: the incident says so.
	GapBounded
	// GapPassed: the ledger knows that all is resolved, and the incident is open.
	GapPassed

	end
)

var names = [end]string{
	Decoded:           "decoded",
	HandedOver:        "handed-over",
	Received:          "received",
	Routed:            "routed",
	Queued:            "queued",
	BeforeRequest:     "before-request",
	AfterResponse:     "after-response",
	BeforeLedgerWrite: "before-ledger-write",
	AfterLedgerCommit: "after-ledger-commit",
	AfterLedgerDone:   "after-ledger-done",
	WebhookDisabled:   "webhook-disabled",
	BeforeCheckpoint:  "before-checkpoint",
	AfterCheckpoint:   "after-checkpoint",
	BeforeConfirm:     "before-confirm",
	AfterConfirm:      "after-confirm",
	AfterStatus:       "after-status",
	ClaimTaken:        "claim-taken",
	QuarantineClaimed: "quarantine-claimed",
	QuarantineRouted:  "quarantine-routed",
	SlotAcquired:      "slot-acquired",
	ReloadChecked:     "reload-checked",
	ReloadAdopted:     "reload-adopted",
	DrainBegun:        "drain-begun",
	DrainIntakeEnded:  "drain-intake-ended",
	DrainQueuesEmpty:  "drain-queues-empty",
	DrainFlushed:      "drain-flushed",
	DrainCheckpointed: "drain-checkpointed",
	DrainConfirmed:    "drain-confirmed",
	Marked:            "marked",
	Settled:           "settled",
	OlderRead:         "older-read",
	HorizonNoted:      "horizon-noted",
	RowsPruned:        "rows-pruned",
	LossRecorded:      "loss-recorded",
	SlotDropped:       "slot-dropped",
	SlotMade:          "slot-made",
	WalkBegun:         "walk-begun",
	WalkSaved:         "walk-saved",
	GapReading:        "gap-reading",
	GapRead:           "gap-read",
	GapBounded:        "gap-bounded",
	GapPassed:         "gap-passed",
}

// String is the point's name.
func (p Point) String() string { return names[p] }

// All lists the points.
func All() (list []Point) {
	for p := Point(1); p < end; p++ {
		list = append(list, p)
	}
	return list
}
