package daemon

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/walpost/walpost/cdc"
	"github.com/walpost/walpost/internal/failpoint"
	"github.com/walpost/walpost/internal/ledger"
)

// flush commits something, and with it all that was committed before.
func (c *checkpointer) flush(ctx context.Context) error {
	owner := c.owned()
	if owner == nil {
		return errOvertaken
	}
	return c.saveWalk(ctx, nil, owner)
}

// saveWalk keeps how far the table is read and resolved, and the counters, where nothing else is to be saved. Nil: the walk that
// is saved stays.
func (c *checkpointer) saveWalk(ctx context.Context, w *cdc.Walk, owner *ownership) error {
	text, err := encodeWalk(w)
	if err != nil {
		return err
	}
	own, counters := c.counters.read()
	err = c.ledger.SaveWalk(ctx, ledger.Checkpoint{
		Slot: c.slot, Epoch: owner.epoch, Timeline: owner.identity.Timeline, Walk: text, Counters: counters,
	})
	if err == nil {
		c.counters.keep(own)
	}
	return err
}

// walked saves a walk that has come further while there is no position yet.
func (c *checkpointer) walked(ctx context.Context, w *cdc.Walk, owner *ownership) error {
	if w == nil || w == c.savedWalk {
		return nil
	}
	err := c.saveWalk(ctx, w, owner)
	if errors.Is(err, ledger.ErrFenced) {
		c.overtaken(owner.term)
		return nil
	}
	if err == nil {
		c.keptWalk(w)
	}
	return err
}

// keptWalk takes note of the walk that the ledger has.
func (c *checkpointer) keptWalk(w *cdc.Walk) {
	if w != c.savedWalk {
		c.savedWalk = w
		failpoint.Hit(failpoint.WalkSaved)
	}
}

func encodeWalk(w *cdc.Walk) (string, error) {
	if w == nil {
		return "", nil
	}
	text, err := json.Marshal(w)
	if err != nil {
		return "", fmt.Errorf("encode a walk: %w", err)
	}
	return string(text), nil
}

// decodeWalk gives nil where there is none.
func decodeWalk(text string) (*cdc.Walk, error) {
	if text == "" {
		return nil, nil
	}
	var w cdc.Walk
	if err := json.Unmarshal([]byte(text), &w); err != nil {
		return nil, fmt.Errorf("decode the checkpoint's walk: %w", err)
	}
	return &w, nil
}
