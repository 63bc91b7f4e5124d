package route

import (
	"bytes"
	"context"
	"net/http"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"github.com/walpost/walpost/config"
)

// Response is what an endpoint answered.
type Response struct {
	Status int
	Header http.Header
	Body   []byte
}

// Opinion is what a webhook's expressions say about an answer.
type Opinion uint8

// The opinions.
const (
	None      Opinion = iota // the status says it all
	Delivered                // success_when is true
	Retry                    // success_when is not true of a successful status
	Permanent                // … or of another one, and permanent_when is true: no retry
)

// Judgement is what a webhook's expressions make of an answer.
type Judgement struct {
	Opinion Opinion
	// Failed has the positions, ascending, of those deliveries of a delivered batch that
	// the answer did not accept.
	Failed []int
	// Captures is what is to be kept, of deliveries that are not Failed.
	Captures []Capture
}

// Capture is what is kept of an answer for one delivery, for captured() to find.
type Capture struct {
	Index int // the position of the delivery
	Key   string
	Value []byte // JSON text
}

// judge is what a webhook asks of answers.
type judge struct {
	success      []int // statuses; nil: 2xx
	successWhen  *condition
	permanent    *condition
	failed       jsonExpr // nil: no event of a batch fails alone
	failedAt     hcl.Range
	key, value   jsonExpr // of what is captured; nil: nothing
	keyAt, valAt hcl.Range
}

func (c *compiler) judge(w *config.Webhook) *judge {
	j := &judge{success: w.Success}
	if w.SuccessWhen != nil {
		j.successWhen = &condition{expr: c.expression(w.SuccessWhen)}
	}
	if w.PermanentWhen != nil {
		j.permanent = &condition{expr: c.expression(w.PermanentWhen)}
	}
	if w.Batch != nil && w.Batch.Failed != nil {
		j.failed, j.failedAt = compileJSON(c.expression(w.Batch.Failed)), w.Batch.Failed.Range()
	}
	if w.Capture != nil {
		j.key, j.keyAt = compileJSON(c.expression(w.Capture.Key)), w.Capture.Key.Range()
		j.value, j.valAt = compileJSON(c.expression(w.Capture.Value)), w.Capture.Value.Range()
	}
	if j.successWhen == nil && j.permanent == nil && j.failed == nil && j.key == nil {
		return nil
	}
	return j
}

// Judges reports whether the webhook has anything to say about answers, beyond lists of
// statuses.
func (t *Table) Judges(webhook string) bool {
	w := t.webhooks[webhook]
	return w != nil && w.judge != nil
}

// Judge asks the webhook's expressions about the answer to a request that Render or
// RenderBatch made of the deliveries.
//
// success_when is asked about successful statuses only, and permanent_when about what
// isn't delivered. The opinion holds beside a problem, too: Retry if it couldn't be
// formed. What couldn't be captured doesn't change it, as the request would be repeated
// though it was accepted.
func (t *Table) Judge(ctx context.Context, webhook string, ds []*Delivery, r Response) (Judgement, *Problem) {
	w := t.webhooks[webhook]
	if w == nil || w.judge == nil || len(ds) == 0 {
		return Judgement{}, nil
	}
	s := t.scope(nil)
	defer t.release(s)
	s.asking = ctx
	s.take(w, ds)
	s.event.response = appendResponse(nil, r)
	judgement, p := s.judge(w.judge, ds, r.Status)
	return judgement, p.of(webhook, ds)
}

func (s *scope) judge(j *judge, ds []*Delivery, status int) (Judgement, *Problem) {
	opinion, p := s.opinion(j, status)
	if p != nil {
		return Judgement{Opinion: Retry}, p
	}
	judgement := Judgement{Opinion: opinion}
	if opinion == Retry || opinion == Permanent || !j.successful(status) {
		return judgement, nil
	}
	if j.failed != nil {
		if judgement.Failed, p = s.failed(j, ds); p != nil {
			return Judgement{Opinion: Retry}, p
		}
	}
	if j.key != nil {
		judgement.Captures, p = s.captures(j, ds, judgement.Failed)
	}
	return judgement, p
}

func (j *judge) successful(status int) bool {
	if j.success == nil {
		return status >= 200 && status <= 299
	}
	return slices.Contains(j.success, status)
}

func (s *scope) opinion(j *judge, status int) (Opinion, *Problem) {
	own := None
	if j.successWhen != nil && j.successful(status) {
		own = Retry
		switch holds, p := s.holds(*j.successWhen); {
		case p != nil:
			return Retry, p
		case holds:
			return Delivered, nil
		}
	}
	if j.permanent != nil {
		switch holds, p := s.holds(*j.permanent); {
		case p != nil:
			return Retry, p
		case holds:
			return Permanent, nil
		}
	}
	return own, nil
}

// failed returns the positions of the deliveries whose events the answer names.
func (s *scope) failed(j *judge, ds []*Delivery) ([]int, *Problem) {
	text, p := s.json(nil, j.failed, j.failedAt)
	if p != nil || string(text) == "null" {
		return nil, p
	}
	if text = bytes.TrimSpace(text); !bytes.HasPrefix(text, []byte("[")) {
		return nil, &Problem{Summary: "Wrong type", Detail: "The failed events must be a list of ids.", Where: where(j.failedAt)}
	}
	failed := make([]bool, len(ds))
	for ids := arrayElements(text); ids.next(); {
		known := false
		id, _ := scalarText(ids.value)
		for i, d := range ds {
			if d.Row.ID == id {
				failed[i], known = true, true
			}
		}
		if !known {
			return nil, &Problem{
				Summary: "Unknown event", Where: where(j.failedAt),
				Detail: "An id of a failed event is not that of an event of this request, so that nobody knows which one failed.",
			}
		}
	}
	var positions []int
	for i := range failed {
		if failed[i] {
			positions = append(positions, i)
		}
	}
	return positions, nil
}

// captures returns what is to be kept for each delivery that was accepted.
func (s *scope) captures(j *judge, ds []*Delivery, failed []int) ([]Capture, *Problem) {
	var captures []Capture
	for i, d := range ds {
		if slices.Contains(failed, i) {
			continue
		}
		s.show(d.Row, d.Topic, d.data)
		value, p := s.json(nil, j.value, j.valAt)
		if p != nil {
			return captures, p
		}
		text, p := s.json(nil, j.key, j.keyAt)
		if p != nil {
			return captures, p
		}
		key, ok := scalarText(text)
		switch {
		case string(value) == "null" || string(text) == "null":
			continue
		case !ok:
			return captures, &Problem{Summary: "Wrong type", Detail: "The key of what is captured must be a string or a number.", Where: where(j.keyAt)}
		}
		captures = append(captures, Capture{Index: i, Key: key, Value: value})
	}
	return captures, nil
}

// scalarText returns a JSON string or number as text; false: it is neither.
func scalarText(text []byte) (string, bool) {
	if len(text) == 0 {
		return "", false
	}
	switch c := text[0]; {
	case c == '"':
		return cty.NormalizeString(unquote(text[1 : len(text)-1])), true
	case c == '-' || '0' <= c && c <= '9':
		return string(text), true
	}
	return "", false
}
