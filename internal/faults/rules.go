//go:build unix

package faults

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// rules is the configuration file of the suite's walpost.
type rules struct {
	path, receiver, slot string
	outbox               string // attributes of its block, beside the slot

	mu      sync.Mutex
	variant int  // counts the changes that make no difference to what is delivered
	mended  bool // the webhook "mistaken" is corrected
	edits   []edit
}

// edit is what was written into the file.
type edit struct {
	at  time.Time
	bad bool
}

// spoilt reports whether the file was no good at some moment between two.
func (r *rules) spoilt(from, to time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, e := range r.edits {
		if e.bad && e.at.Before(to) && (i+1 == len(r.edits) || r.edits[i+1].at.After(from)) {
			return true
		}
	}
	return false
}

// put replaces the file, as editors and Kubernetes do it: nobody reads a half. The caller holds mu.
func (r *rules) put(text string, bad bool) error {
	if err := os.WriteFile(r.path+".new", []byte(text), 0o600); err != nil {
		return err
	}
	if bad {
		r.edits = append(r.edits, edit{time.Now(), true}) // somebody may read it before we go on
	}
	err := os.Rename(r.path+".new", r.path)
	if !bad {
		r.edits = append(r.edits, edit{time.Now(), false})
	}
	return err
}

// write puts the present variant into the file.
func (r *rules) write() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.put(r.text(), false)
}

// change writes another variant.
func (r *rules) change() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.variant++
	return r.put(r.text(), false)
}

// mend corrects the webhook that is mistaken.
func (r *rules) mend() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.mended = true
	return r.put(r.text(), false)
}

// brokenEdits are edits that must be refused.
var brokenEdits = []string{
	"webhook \"good\" {\n", // cut off
	"webhook \"other\" {\n topics = [\"*\"]\n url = nowhere\n}", // no such thing
	"outbox {\n slot = \"another\"\n}",                          // twice, and it would take a restart
	"\x00\x01\x02",
}

// spoil writes something that can't be used.
func (r *rules) spoil(which int) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.put(r.text()+brokenEdits[which%len(brokenEdits)], true)
}

// signingSecret is what every webhook signs with.
const signingSecret = "whsec_d2FscG9zdCBmYXVsdCBzdWl0ZSBzZWNyZXQh"

// text is the HCL; the caller holds mu.
func (r *rules) text() string {
	var s strings.Builder
	fmt.Fprintf(&s, "database { url = env(\"DATABASE_URL\") }\noutbox {\n  slot = %q\n%s\n}\n", r.slot, r.outbox)
	for _, w := range webhooks {
		options := w.options
		if r.mended {
			options = strings.ReplaceAll(options, mistake, correction)
		}
		fmt.Fprintf(&s, "webhook %q {\ntopics = [%q]\nurl = \"%s/%s\"\n%s\nheaders = { X-Variant = \"%d\" }\nsign { secret = %q }\n",
			w.name, w.topics, r.receiver, w.name, options, r.variant, signingSecret)
		if r.variant%2 == 1 && !strings.Contains(options, "queue") {
			s.WriteString("concurrency = 4\nqueue = 10\n")
		}
		s.WriteString("}\n")
	}
	if r.variant%3 == 2 {
		fmt.Fprintf(&s, "webhook \"passing\" {\ntopics = [\"conversation.initiated\"]\nurl = \"%s/passing\"\n}\n", r.receiver)
	}
	return s.String()
}
