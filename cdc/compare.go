package cdc

import "context"

// Compare asks the server who it is, and whether the checkpoint was made on it: an ErrOtherSystem says why not. It changes
// nothing.
func Compare(ctx context.Context, o Options) (found Identity, err error) {
	s, err := New(o)
	if err != nil {
		return found, err
	}
	resume, err := s.resume(ctx)
	if err != nil {
		return found, err
	}
	conn, found, err := openReplication(ctx, s.opts)
	if err != nil {
		return found, classifyConnect(err, s.opts, false)
	}
	defer conn.close()
	if err := s.checkSystem(resume, found); err != nil {
		return found, err
	}
	return found, s.checkHistory(ctx, conn, resume, found)
}
