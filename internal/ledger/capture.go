package ledger

import (
	"context"
	"crypto/sha256"
	_ "embed" // statements
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

var (
	//go:embed sql/capture_upsert.sql
	captureUpsertSQL string
	//go:embed sql/captured.sql
	capturedSQL string
	//go:embed sql/prune_captures.sql
	pruneCapturesSQL string
)

// Capture is a value that a webhook keeps of an answer, for later requests to look up by key. Of several values for a
// key, that of the event which was committed last stays, whatever came first.
type Capture struct {
	Key   string // any text
	Value string // JSON, at most MaxCapture bytes
}

const (
	// MaxCapture is the length of the longest value that can be captured, in bytes.
	MaxCapture = 64 << 10
	// captureRetention is how long a captured value is kept after it was captured.
	captureRetention = 30 * 24 * time.Hour
	// maxCaptureKey is the length of the longest key that is stored as it is, in bytes; an index takes no more than about
	// 2,700 for webhook and key.
	maxCaptureKey = 1 << 10
)

// captureKey names a value. Both writing and reading go through newCaptureKey.
type captureKey struct{ webhook, key string }

func newCaptureKey(webhook, key string) captureKey {
	key = stored(key)
	if len(key) > maxCaptureKey {
		sum := sha256.Sum256([]byte(key))
		key = clean(key, maxCaptureKey-2*len(sum)-1) + "#" + hex.EncodeToString(sum[:])
	}
	return captureKey{webhook: webhook, key: key}
}

// stored is the text as a text column can hold it.
func stored(text string) string { return clean(text, len(text)) }

// Captured looks up what a webhook kept under a key. What was submitted to this Ledger is found at once, before it is
// durable.
func (l *Ledger) Captured(ctx context.Context, webhook, key string) (value string, found bool, err error) {
	k := newCaptureKey(webhook, key)
	// Before the database is asked: what has left the overlay by then is there.
	own, found := l.capturing.find(k)
	var durable string
	var position lsn
	err = l.pool.QueryRow(ctx, capturedSQL, k.webhook, k.key).Scan(&durable, &position)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return own.value, found, nil
	case err != nil:
		return "", false, fmt.Errorf("look up what webhook %q captured: %w", webhook, err)
	case found && own.lsn >= position:
		return own.value, true, nil
	default:
		return durable, true, nil
	}
}

// capturing are the captures that are on their way to the database. What waits there bounds them: Options.MaxPending.
type capturing struct {
	mu     sync.Mutex
	values map[captureKey]*pendingCapture
}

// pendingCapture is the value that will stay of those that are on their way for a key.
type pendingCapture struct {
	value   string
	lsn     lsn
	waiting int
}

func (c *capturing) find(k captureKey) (pendingCapture, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.values[k]
	if !ok {
		return pendingCapture{}, false
	}
	return *p, true
}

func (c *capturing) add(e *Attempted) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.values == nil {
		c.values = make(map[captureKey]*pendingCapture)
	}
	for _, capture := range e.Captures {
		k := newCaptureKey(e.Webhook, capture.Key)
		p := c.values[k]
		if p == nil {
			p = &pendingCapture{}
			c.values[k] = p
		}
		if at := lsn(e.Event.LSN); at >= p.lsn {
			p.value, p.lsn = capture.Value, at
		}
		p.waiting++
	}
}

// remove ends what add began: the captures are durable, or given up.
func (c *capturing) remove(e *Attempted) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, capture := range e.Captures {
		k := newCaptureKey(e.Webhook, capture.Key)
		if p := c.values[k]; p.waiting > 1 {
			p.waiting--
		} else {
			delete(c.values, k)
		}
	}
}

// captureRows are the rows of one statement, each key once.
type captureRows struct {
	at                              map[captureKey]int
	webhook, key, value, event, lsn []string
	position                        []lsn
}

func (r *captureRows) add(e *Attempted) {
	if r.at == nil && len(e.Captures) > 0 {
		r.at = make(map[captureKey]int)
	}
	for _, capture := range e.Captures {
		k, position := newCaptureKey(e.Webhook, capture.Key), lsn(e.Event.LSN)
		i, repeated := r.at[k]
		switch {
		case !repeated:
			r.at[k] = len(r.key)
			r.webhook, r.key = append(r.webhook, k.webhook), append(r.key, k.key)
			r.value, r.event = append(r.value, stored(capture.Value)), append(r.event, e.Event.ID)
			r.lsn, r.position = append(r.lsn, position.String()), append(r.position, position)
		case position >= r.position[i]:
			r.value[i], r.event[i], r.lsn[i], r.position[i] = stored(capture.Value), e.Event.ID, position.String(), position
		}
	}
}

func (r *captureRows) args() []any { return []any{r.webhook, r.key, r.value, r.event, r.lsn} }

func (l *Ledger) pruneCaptures(ctx context.Context, p *Pruned) error {
	for {
		tag, err := l.pool.Exec(ctx, pruneCapturesSQL, captureRetention, chunk)
		if err != nil {
			return fmt.Errorf("delete captures: %w", err)
		}
		p.Captures += tag.RowsAffected()
		if tag.RowsAffected() < chunk {
			return nil
		}
	}
}
