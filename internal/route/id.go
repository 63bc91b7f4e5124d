package route

import (
	"crypto/sha1" //nolint:gosec // UUIDv5 is defined with SHA-1; nothing depends on its strength.

	"github.com/google/uuid"
)

// namespace is walpost's own, for the names of deliveries. It never changes.
var namespace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://github.com/walpost/walpost"))

// DeliveryID returns the id of the delivery of an event under a topic to a webhook: the
// UUIDv5 (RFC 9562, section 5.5), as text, of the three joined by NULs, which none
// of them can contain. It is the same for ever, so that receivers recognize repeats.
func DeliveryID(eventID, topic, webhook string) string {
	var space [256]byte
	name := append(space[:0], namespace[:]...)
	name = append(name, eventID...)
	name = append(name, 0)
	name = append(name, topic...)
	name = append(name, 0)
	name = append(name, webhook...)
	sum := sha1.Sum(name) //nolint:gosec // see above
	id := uuid.UUID(sum[:16])
	id[6] = id[6]&0x0f | 5<<4 // version 5
	id[8] = id[8]&0x3f | 0x80 // variant of RFC 9562
	return id.String()
}
