//go:build unix

package http1

import (
	"errors"
	"syscall"
)

// quiet reports whether nothing is to be read from the socket, which never blocks (Go sets it so).
func quiet(fd uintptr) bool {
	var one [1]byte
	_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK)
	return errors.Is(err, syscall.EAGAIN)
}
