package sender

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strings"
	"sync"
)

const (
	secretPrefix   = "whsec_"
	minSecretBytes = 24 // Standard Webhooks 1.0.0, "Signature scheme"
	maxSecretBytes = 64
	newSecretBytes = 32
)

// NewSecret makes a random signing secret of 32 bytes in Standard Webhooks form: whsec_ and base64.
func NewSecret() string {
	var key [newSecretBytes]byte
	_, _ = rand.Read(key[:]) // never fails: it ends the program instead
	return secretPrefix + base64.StdEncoding.EncodeToString(key[:])
}

// ValidSecret says what is wrong with a signing secret, never showing it. A valid one is whsec_ followed by the standard
// base64 of 24 to 64 bytes (Standard Webhooks 1.0.0).
func ValidSecret(s string) error {
	_, err := decodeSecret(s)
	return err
}

func decodeSecret(s string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(s, secretPrefix)
	if !ok {
		return nil, errors.New(`a signing secret starts with "whsec_" and goes on in base64`)
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, errors.New(`what follows "whsec_" is not standard base64 with padding`)
	}
	if len(key) < minSecretBytes || len(key) > maxSecretBytes {
		return nil, fmt.Errorf("a signing secret has %d to %d bytes after decoding, this one has %d",
			minSecretBytes, maxSecretBytes, len(key))
	}
	return key, nil
}

// signer makes webhook-signature values. Its pool keeps the keyed hash states, whose setup costs as much as signing a
// small body does.
type signer struct {
	keys [][]byte // current first
	pool sync.Pool
}

// mac is one goroutine's hash states and scratch space.
type mac struct {
	states  []hash.Hash
	scratch []byte
}

// newSigner returns nil for no secret at all: the endpoint does not sign.
func newSigner(secret, previous string) (*signer, error) {
	if secret == "" && previous == "" {
		return nil, nil
	}
	if secret == "" {
		return nil, errors.New("read the previous secret: it needs a current one beside it")
	}
	current, err := decodeSecret(secret)
	if err != nil {
		err = fmt.Errorf("read the secret: %w", err)
	}
	s := &signer{keys: [][]byte{current}}
	if previous != "" {
		key, keyErr := decodeSecret(previous)
		if keyErr != nil {
			err = errors.Join(err, fmt.Errorf("read the previous secret: %w", keyErr))
		}
		s.keys = append(s.keys, key)
	}
	if err != nil {
		return nil, err
	}
	s.pool.New = func() any {
		m := &mac{}
		for _, key := range s.keys {
			m.states = append(m.states, hmac.New(sha256.New, key))
		}
		return m
	}
	return s, nil
}

// sign returns the signatures of id.timestamp.body, separated by spaces, the current secret's first.
func (s *signer) sign(id, timestamp string, body []byte) string {
	m := s.pool.Get().(*mac)
	defer s.pool.Put(m)
	buf := append(m.scratch[:0], id...)
	buf = append(buf, '.')
	buf = append(buf, timestamp...)
	buf = append(buf, '.')
	head := len(buf)
	for _, state := range m.states {
		state.Reset()
		_, _ = state.Write(buf[:head]) // a hash never returns an error
		_, _ = state.Write(body)
		if len(buf) > head {
			buf = append(buf, ' ')
		}
		buf = append(buf, "v1,"...)
		sumAt := len(buf)
		buf = state.Sum(buf)
		sum := [sha256.Size]byte(buf[sumAt:])
		buf = base64.StdEncoding.AppendEncode(buf[:sumAt], sum[:])
	}
	m.scratch = buf
	return string(buf[head:])
}
