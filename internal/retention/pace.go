package retention

import (
	"context"
	"time"
)

const (
	// batch is how many rows one statement deletes at most: their locks are held for milliseconds.
	batch = 1000
	// statementTime is how long a statement should take.
	statementTime = 50 * time.Millisecond
	// rests is how many times as long as it has worked a sweep rests: a busy server is slower, and gets longer rests.
	rests = 4
	// maxBlocks bounds a range in which little is to be deleted: 32 MiB.
	maxBlocks = 4096
)

// pace sizes the statements of a walk and the rests between them.
type pace struct{ blocks int64 }

// rest waits after a statement that deleted n rows, and sizes the next range by how long it took. It is false when ctx
// ends.
func (p *pace) rest(ctx context.Context, n int64, took time.Duration) bool {
	switch {
	case took > statementTime || n >= batch:
		p.blocks = max(p.blocks/2, 1)
	case took < statementTime/4 && n < batch/4:
		p.blocks = min(p.blocks*2, maxBlocks)
	}
	timer := time.NewTimer(rests * took)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
