package route

import (
	"crypto/sha1" //nolint:gosec // UUIDv5 is defined with SHA-1; nothing depends on its strength.

	"github.com/google/uuid"
)

// namespace is walpost's own, for the names of deliveries. It never changes.
var namespace = uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://github.com/walpost/walpost"))

// batches is the namespace of the names of batches.
var batches = uuid.NewSHA1(namespace, []byte("batch"))

// DeliveryID returns the id of the delivery of an event under a topic to a webhook: the
// UUIDv5 (RFC 9562, section 5.5), as text, of the three joined by NULs, which none
// of them can contain. It is the same for ever, so that receivers recognize repeats.
func DeliveryID(eventID, topic, webhook string) string {
	return named(namespace, eventID, topic, webhook)
}

// BatchID returns the id of a request that carries the deliveries with those ids, in
// that order: a UUIDv5 as text, the same for the same deliveries.
func BatchID(ids []string) string { return named(batches, ids...) }

func named(space uuid.UUID, parts ...string) string {
	var array [256]byte
	name := append(array[:0], space[:]...)
	for i, part := range parts {
		if i > 0 {
			name = append(name, 0)
		}
		name = append(name, part...)
	}
	sum := sha1.Sum(name) //nolint:gosec // see above
	id := uuid.UUID(sum[:16])
	id[6] = id[6]&0x0f | 5<<4 // version 5
	id[8] = id[8]&0x3f | 0x80 // variant of RFC 9562
	return id.String()
}
