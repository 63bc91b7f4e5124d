package reconcile

import (
	"bufio"
	"fmt"
	"io"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"
)

type id = [16]byte

// IDs are webhook-ids. Each takes 16 bytes and its place in a map.
type IDs map[id]bool

// ReadIDs reads one webhook-id per line. Empty lines, and lines that begin with #, are passed over.
func ReadIDs(from io.Reader) (IDs, error) {
	ids := IDs{}
	lines := bufio.NewScanner(from)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		var u pgtype.UUID
		if err := u.Scan(line); err != nil {
			return nil, fmt.Errorf("line %d: %q is not a webhook-id, which is a UUID", n, line)
		}
		ids[u.Bytes] = true
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	return ids, nil
}

// parse reads a delivery's id, which walpost has made itself.
func parse(text string) id {
	var u pgtype.UUID
	_ = u.Scan(text) // DeliveryID gives nothing else
	return u.Bytes
}
