package cdc

import (
	"encoding/binary"
	"fmt"
	"net"
	"time"
)

// writeTimeout bounds a write of a few dozen bytes, which blocks only when the connection is dead.
const writeTimeout = 5 * time.Second

// statusLength is the whole length of a standby status update in its CopyData message.
const statusLength = 5 + 34

// appendStatus appends a standby status update. Written, flushed and applied position are the same, so that
// the server can't take one for another; 0 means that nothing is confirmed. Every message is as the protocol
// page says: 'r', three positions, the client's time, whether to reply.
func appendStatus(dst []byte, confirmed LSN, now time.Time, replyNow bool) []byte {
	dst = append(dst, 'd')
	dst = binary.BigEndian.AppendUint32(dst, statusLength-1)
	dst = append(dst, 'r')
	for range 3 {
		dst = binary.BigEndian.AppendUint64(dst, uint64(confirmed))
	}
	dst = binary.BigEndian.AppendUint64(dst, uint64(now.UnixMicro()-postgresEpoch))
	if replyNow {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// writeAll writes within writeTimeout.
func writeAll(conn net.Conn, b []byte) error {
	if err := conn.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
		return fmt.Errorf("limit the time of a write: %w", err)
	}
	if _, err := conn.Write(b); err != nil {
		return fmt.Errorf("write to the server: %w", err)
	}
	return nil
}
