package route

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// memory is what a scope need not evaluate twice.
type memory struct {
	locals []localMemory // by slot; nil: none was asked for
	dirty  bool          // something is known of one
	// captured has what captured() found; lookup is why it found nothing, which no
	// try() may hide.
	captured map[captureKey]*capturedValue
	lookup   error
	events   cty.Value // `events` as a whole; NilVal: not converted
}

// localMemory is what is known of a local.
type localMemory struct {
	value cty.Value // NilVal: not evaluated
	diags hcl.Diagnostics
	text  []byte // its JSON; nil: not written
}

// local returns what is known of one of count locals.
func (m *memory) local(count, slot int) *localMemory {
	if m.locals == nil {
		m.locals = make([]localMemory, count)
	}
	m.dirty = true
	return &m.locals[slot]
}

// forgetLocals is for when the event changes.
func (m *memory) forgetLocals() {
	if m.dirty {
		clear(m.locals)
		m.dirty = false
	}
}

// clear forgets all.
func (m *memory) clear() {
	m.forgetLocals()
	m.captured, m.lookup, m.events = nil, nil, cty.NilVal
}
