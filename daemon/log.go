package daemon

// The keys of the daemon's log fields.
const (
	keyEvent    = "event"
	keyDelivery = "delivery"
	keyTopic    = "topic"
	keyWebhook  = "webhook"
	keyRule     = "rule"
	keyAttempt  = "attempt"
	keyVerdict  = "verdict"
	keyClass    = "class"
	keyStatus   = "status"
	keyDuration = "duration"
	keyError    = "error"
	keyProblem  = "problem"
	keyTry      = "try"
	keySlot     = "slot"
	keyLSN      = "lsn"
	keyEpoch    = "epoch"
	keyCount    = "count"
	keyFailed   = "failed"
	keyLeader   = "leader"
	keySilent   = "silent"
)
