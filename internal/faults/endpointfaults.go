//go:build unix

package faults

import (
	"context"
	"math/rand/v2"
	"time"
)

// endpointFaults are the misbehaviours of one endpoint at a time.
func endpointFaults() (list []fault) {
	for _, b := range misbehaviours {
		list = append(list, fault{
			name: "endpoint: " + string(b), lasts: 2 * time.Second,
			inject: func(_ context.Context, g *ground, random *rand.Rand) (func(context.Context) error, error) {
				w := webhooks[random.IntN(len(webhooks))]
				g.receiver.behave(w.name, b)
				return func(ctx context.Context) error {
					g.receiver.behave(w.name, healthy)
					if b != gone || w.outcome == isParked {
						return nil
					}
					// It may be that the ledger can't be written just now, or that the 410 isn't there yet: the end of
					// the run enables what is left.
					ctx, cancel := context.WithTimeout(ctx, time.Second)
					defer cancel()
					_ = g.enable(ctx, w.name)
					return nil
				}, nil
			},
		})
	}
	return list
}
