package cdc

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/jackc/pglogrepl"
)

// branch is a timeline that the server has been on, and where it has left it.
type branch struct {
	timeline int32
	end      LSN
}

// history gives the timelines that the server's present one has branched off from.
func (c *replicationConn) history(ctx context.Context, timeline int32) ([]branch, error) {
	if timeline <= 1 {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	result, err := pglogrepl.TimelineHistory(ctx, c.pg, timeline)
	if err != nil {
		return nil, fmt.Errorf("read the history of timeline %d: %w", timeline, err)
	}
	return parseHistory(string(result.Content))
}

// parseHistory reads a timeline history file: number, position and reason of each switch, and comments.
// https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-TIMELINES
func parseHistory(text string) ([]branch, error) {
	var branches []branch
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 || strings.HasPrefix(fields[0], "#") {
			continue
		}
		if len(fields) < 2 {
			return nil, fmt.Errorf("read timeline history %q: a switch has a timeline and a position", line)
		}
		timeline, err := strconv.ParseInt(fields[0], 10, 32)
		if err != nil {
			return nil, fmt.Errorf("read timeline history %q: %w", line, err)
		}
		end, err := pglogrepl.ParseLSN(fields[1])
		if err != nil {
			return nil, fmt.Errorf("read timeline history %q: %w", line, err)
		}
		branches = append(branches, branch{timeline: int32(timeline), end: end})
	}
	return branches, nil
}

// checkHistory refuses a server in whose history the checkpoint never was: what is above the point where they part is
// delivered there and may come anew here, or not at all.
func (s *Source) checkHistory(ctx context.Context, conn *replicationConn, resume *Resume, found Identity) error {
	if resume == nil || resume.LSN == 0 || resume.Timeline == 0 {
		return nil
	}
	if resume.Timeline == found.Timeline {
		if resume.LSN > found.end {
			return s.otherHistory(resume, fmt.Sprintf("the server's WAL ends at %s", found.end))
		}
		return nil
	}
	branches, err := conn.history(ctx, found.Timeline)
	if err != nil {
		return classify(err, s.opts)
	}
	for _, b := range branches {
		if b.timeline != resume.Timeline {
			continue
		}
		if resume.LSN > b.end {
			return s.otherHistory(resume, fmt.Sprintf("the server has left that timeline at %s", b.end))
		}
		return nil
	}
	return s.otherHistory(resume, fmt.Sprintf("the server, on timeline %d, was never on that one", found.Timeline))
}

func (s *Source) otherHistory(resume *Resume, why string) error {
	return &SetupError{
		Problem: fmt.Sprintf("the checkpoint of slot %q is at %s of timeline %d, and %s: a backup was restored, or this is another copy of the database",
			s.opts.Slot, resume.LSN, resume.Timeline, why),
		Fix: "connect to the server that the checkpoint belongs to, or look what walpost adopt would do here",
		Err: ErrOtherSystem,
	}
}

// forgetRewound begins anew when the server's WAL ends before what we had of it: its files are those of an older copy.
// What is remembered of positions would hide new rows.
func (s *Source) forgetRewound(found Identity) {
	had := max(LSN(s.counters.received.Load()), s.passed(found.Timeline))
	if s.tracker.Load().timeline != found.Timeline || found.end >= had {
		return
	}
	s.opts.Logger.Warn().Stringer("wal_end", found.end).Stringer("before", had).
		Msg("the server's WAL has gone back: an older copy of the database was put in its place; unconfirmed rows are read again")
	s.counters.received.Store(0)
	s.confirm.Store(&Position{})
	s.idle.Store(&Position{})
	s.track(newTracker(found.Timeline, found.Start, s.advanced))
}
