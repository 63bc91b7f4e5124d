//go:build unix

package faults

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"syscall"
	"time"

	"github.com/walpost/walpost/internal/failpoint"
)

// processFaults happen to walpost itself. Being killed is the most likely one.
var processFaults = []fault{
	killed, killed, killedAtPoint, killedAtPoint, killedAtPoint,
	{name: "SIGTERM", inject: terminate},
	{name: "SIGSTOP", lasts: 3 * time.Second, inject: freezeProcess},
	{name: "reload: changed rules", inject: func(_ context.Context, g *ground, _ *rand.Rand) (func(context.Context) error, error) {
		err := g.rules.change()
		g.runner.hangUp()
		return nil, err
	}},
	{name: "reload: broken edit", lasts: 2 * time.Second, inject: func(_ context.Context, g *ground, random *rand.Rand) (func(context.Context) error, error) {
		err := g.rules.spoil(random.IntN(100))
		g.runner.hangUp()
		return func(context.Context) error {
			err := g.rules.write()
			g.runner.hangUp()
			return err
		}, err
	}},
}

var killed = fault{name: "kill -9", inject: func(_ context.Context, g *ground, random *rand.Rand) (func(context.Context) error, error) {
	pause := random.IntN(1500)
	g.runner.kill()
	if pause < 500 {
		<-time.After(time.Duration(pause) * time.Millisecond)
	}
	return nil, g.runner.start()
}}

// drainPatience is more than attempts (12 s) and the flush (5 s, and 5 s for the last checkpoint) may take.
const drainPatience = 40 * time.Second

// terminate ends the process in order, and starts the next one.
func terminate(ctx context.Context, g *ground, _ *rand.Rand) (func(context.Context) error, error) {
	ctx, cancel := context.WithTimeout(ctx, drainPatience)
	defer cancel()
	n, err := g.runner.drain(ctx)
	if err == nil && n != nil && n.code != 0 && !n.reached && !g.runner.wasKilled(n) && !g.explained(n) { // another fault may just have ended it
		// While it is starting, it has nothing to drain, and may say that it was interrupted.
		select {
		case <-n.ready:
			err = fmt.Errorf("walpost %d ended with status %d after SIGTERM:\n%s", n.number, n.code, n.log)
		default:
		}
	}
	return nil, errors.Join(err, g.runner.start())
}

func freezeProcess(_ context.Context, g *ground, _ *rand.Rand) (func(context.Context) error, error) {
	n := g.runner.current(false)
	if n == nil {
		return nil, nil
	}
	n.signal(syscall.SIGSTOP)
	return func(context.Context) error { n.signal(syscall.SIGCONT); return nil }, nil
}

// The points that a process comes by on certain occasions only.
var (
	drainPoints = []failpoint.Point{
		failpoint.DrainBegun, failpoint.DrainIntakeEnded, failpoint.DrainQueuesEmpty, failpoint.DrainFlushed,
		failpoint.DrainCheckpointed, failpoint.DrainConfirmed,
	}
	reloadPoints   = []failpoint.Point{failpoint.ReloadChecked, failpoint.ReloadAdopted}
	pollPoints     = []failpoint.Point{failpoint.Marked, failpoint.Settled, failpoint.OlderRead}
	recoveryPoints = []failpoint.Point{
		failpoint.LossRecorded, failpoint.SlotDropped, failpoint.SlotMade, failpoint.WalkBegun, failpoint.WalkSaved,
		failpoint.GapReading, failpoint.GapRead, failpoint.GapBounded, failpoint.GapPassed,
	}
	prunePoints = []failpoint.Point{failpoint.HorizonNoted, failpoint.RowsPruned}
)

// pointPatience is how long a process may take to come to its point. One that comes later is killed later.
const pointPatience = 3 * time.Second

// killedAtPoint kills the process where it hurts: at a failpoint, the nth time that it comes by.
var killedAtPoint = fault{name: "killed at a failpoint", inject: func(ctx context.Context, g *ground, random *rand.Rand) (func(context.Context) error, error) {
	points := slices.DeleteFunc(g.source.points(), func(p failpoint.Point) bool { return slices.Contains(recoveryPoints, p) })
	a := ambush{point: points[random.IntN(len(points))], nth: 1 + random.IntN(1<<random.IntN(6))}
	if slices.Contains(drainPoints, a.point) || slices.Contains(reloadPoints, a.point) {
		a.nth = 1
	}
	g.runner.kill()
	g.runner.arm(a)
	if err := g.runner.start(); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, time.Duration(g.stretch*float64(pointPatience)))
	defer cancel()
	n := g.runner.current(true)
	if n == nil {
		return nil, g.runner.start()
	}
	select {
	case <-n.ready:
		switch {
		case slices.Contains(drainPoints, a.point):
			return terminate(context.WithoutCancel(ctx), g, random)
		case slices.Contains(reloadPoints, a.point):
			n.signal(syscall.SIGHUP)
		}
	case <-n.done:
	case <-ctx.Done():
	}
	select {
	case <-n.done:
	case <-ctx.Done():
	}
	return nil, g.runner.unmind(n)
}}
