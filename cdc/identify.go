package cdc

import "context"

// Identify opens a replication connection, asks whom it leads to and closes it: whether the server, and whatever is in
// between, lets the role replicate. It changes nothing. Its error is a SetupError where waiting doesn't cure it. Of the
// Identity only SystemID and Timeline are set.
func Identify(ctx context.Context, o Options) (Identity, error) {
	s, err := New(o)
	if err != nil {
		return Identity{}, err
	}
	conn, identity, err := openReplication(ctx, s.opts)
	if err != nil {
		return Identity{}, classifyConnect(err, s.opts, false)
	}
	conn.close()
	return identity, nil
}
