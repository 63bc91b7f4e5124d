package daemon

import (
	"context"
	"errors"
	"time"

	"github.com/walpost/walpost/cdc"
)

// incidentTimeout bounds the writing of an incident: the daemon ends with the error that it tells of.
const incidentTimeout = 5 * time.Second

// stream runs the source. What breaks the stream for good is an incident, which stays in the ledger after the
// daemon has ended with the error.
func (d *Daemon) stream(ctx context.Context) error {
	err := d.source.Run(ctx)
	kind := incidentKind(err)
	if kind == "" {
		return err
	}
	recording, cancel := context.WithTimeout(context.Background(), incidentTimeout)
	defer cancel()
	if failed := d.checkpointer.record(recording, kind, err); failed != nil {
		d.log.Error().Err(failed).Msg("incident not recorded")
	}
	return err
}

// incidentKind names what happened to the stream; "" is no incident.
func incidentKind(err error) string {
	switch {
	case errors.Is(err, cdc.ErrSlotLost):
		return slotLost
	case errors.Is(err, cdc.ErrPublicationLost):
		return publicationLost
	case errors.Is(err, cdc.ErrOtherSystem):
		return "other_system"
	default:
		return ""
	}
}
