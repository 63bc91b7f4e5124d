package daemon

import (
	"context"
	"net/http"
	"time"

	"github.com/walpost/walpost/internal/ledger"
	"github.com/walpost/walpost/internal/route"
	"github.com/walpost/walpost/sender"
)

// judge asks the webhook's expressions what the answer to one attempt means.
type judge struct {
	target     *target
	deliveries []*route.Delivery // that the request carried
	judgement  route.Judgement
	problem    *route.Problem
}

// in is the attempt's sender.Judge, nil where the status says it all.
func (j *judge) in(ctx context.Context) sender.Judge {
	if !j.target.judges {
		return nil
	}
	return func(status int, header http.Header, body []byte) sender.Verdict {
		j.judgement, j.problem = j.target.table.Judge(ctx, j.target.webhook.Name, j.deliveries,
			route.Response{Status: status, Header: header, Body: body})
		return j.verdict()
	}
}

func (j *judge) verdict() sender.Verdict {
	switch j.judgement.Opinion {
	case route.Delivered:
		return sender.Delivered
	case route.Retry:
		return sender.Retry
	case route.Permanent:
		return sender.Rejected
	default:
		return 0
	}
}

// explain makes an expression that failed the reason of the retry: what the answer means is not known then, and the
// next one may be fit to be judged.
func (j *judge) explain(r *result) {
	if j.problem == nil || r.Verdict != sender.Retry || j.judgement.Opinion != route.Retry {
		return
	}
	r.class, r.Err, r.Excerpt = classRule, *j.problem, nil
}

// failed says which of the request's deliveries a successful answer did not accept.
func (j *judge) failed(r *result) map[int]bool {
	if r.Verdict != sender.Delivered {
		return nil
	}
	failed := make(map[int]bool, len(j.judgement.Failed))
	for _, i := range j.judgement.Failed {
		failed[i] = true
	}
	return failed
}

// uncaptured logs why nothing could be captured of an answer that is delivered all the same: asking for another one
// would repeat what was accepted.
func (p *pipeline) uncaptured(r *result, j *judge) {
	if r.Verdict == sender.Delivered && j.problem != nil {
		p.log.Warn().Str(keyWebhook, j.target.webhook.Name).Str(keyProblem, j.problem.Error()).Msg("not captured")
	}
}

// captures are what is to be kept of the answer for one of the request's deliveries.
func (p *pipeline) captures(r *result, j *judge, index int) (kept []ledger.Capture) {
	if r.Verdict != sender.Delivered {
		return nil
	}
	for _, c := range j.judgement.Captures {
		if c.Index != index {
			continue
		}
		if len(c.Value) > ledger.MaxCapture {
			p.log.Warn().Str(keyWebhook, j.target.webhook.Name).Str(keyDelivery, j.deliveries[index].ID).
				Int(keyCount, len(c.Value)).Msg("not captured: the value has too many bytes")
			continue
		}
		kept = append(kept, ledger.Capture{Key: c.Key, Value: string(c.Value)})
	}
	return kept
}

// capturedTimeout bounds one lookup; the ledger's answer comes from an index.
const capturedTimeout = 5 * time.Second

// captured is what captured() answers in the webhooks' expressions.
func (p *pipeline) captured(ctx context.Context, webhook, key string) (value []byte, found bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, capturedTimeout)
	defer cancel()
	text, found, err := p.ledger.Captured(ctx, webhook, key)
	return []byte(text), found, err
}
