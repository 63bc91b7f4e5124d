package ruletest

import (
	"context"
	"maps"
	"net/http"
	"slices"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/internal/route"
	"github.com/walpost/walpost/sender"
)

// answer compares what the test's response means with what the test says of it. The verdict is that of sender's response
// table, as in a running daemon.
func (r *run) answer(ctx context.Context, c *comparison, e *config.Expect, deliveries []*route.Delivery) {
	verdict, judgement, problem := Judge(ctx, r.table, c.webhook, deliveries, route.Response{
		Status: r.Response.Status, Header: r.Response.Header, Body: r.Response.Body,
	})
	if problem != nil {
		r.fail(e.Webhook, e.DeclRange, "", "the answer can't be judged: %s", problem.Error())
	}
	if e.Verdict != "" {
		c.line("verdict", string(e.Verdict), verdict.String(), c.secrets.Hide)
	}
	if e.Capture != nil {
		kept := map[string][]byte{}
		if verdict == sender.Delivered {
			for _, capture := range judgement.Captures {
				kept[capture.Key] = capture.Value
			}
		}
		c.captures(e.Capture, kept)
	}
	if e.Failed != nil {
		failed := []string{}
		for _, i := range judgement.Failed {
			failed = append(failed, deliveries[i].Row.ID)
		}
		c.list("failed", e.Failed, failed)
	}
}

// Judge says what an answer to a request for the deliveries means: the verdict, and what success_when, permanent_when,
// capture and failed say about it. A problem is that of one of them; the verdict takes it into account.
func Judge(ctx context.Context, table *route.Table, w *config.Webhook, deliveries []*route.Delivery, r route.Response) (
	verdict sender.Verdict, judgement route.Judgement, problem *route.Problem,
) {
	endpoint, err := sender.New(sender.Options{Success: w.Success, Permanent: w.Permanent, RetryOn: w.RetryOn})
	if err != nil { // config has checked the statuses
		return 0, judgement, &route.Problem{Webhook: w.Name, Summary: "Invalid statuses", Detail: err.Error()}
	}
	defer endpoint.Close()
	var judge sender.Judge
	if table.Judges(w.Name) {
		judge = func(status int, header http.Header, body []byte) sender.Verdict {
			judgement, problem = table.Judge(ctx, w.Name, deliveries, route.Response{Status: status, Header: header, Body: body})
			return Opinion(judgement)
		}
	}
	return endpoint.Policy().Verdict(r.Status, r.Header, r.Body, judge), judgement, problem
}

// Opinion is what sender's Judge answers: 0 leaves it to the status.
func Opinion(j route.Judgement) sender.Verdict {
	switch j.Opinion {
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

func (c *comparison) captures(expected map[string]rawJSON, actual map[string][]byte) {
	keys := map[string]bool{}
	for key := range expected {
		keys[key] = true
	}
	for key := range actual {
		keys[key] = true
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		var want *string
		if value, ok := expected[key]; ok {
			text := PrettyJSON(value)
			want = &text
		}
		value, found := actual[key]
		c.optional("capture "+quote(key), want, PrettyJSON(value), found, c.secrets.Hide)
	}
}

// list compares lists whose order means nothing.
func (c *comparison) list(name string, expected, actual []string) {
	all := slices.Compact(slices.Sorted(slices.Values(slices.Concat(expected, actual))))
	for _, element := range all {
		var want *string
		if slices.Contains(expected, element) {
			want = &element
		}
		c.optional(name, want, element, slices.Contains(actual, element), c.secrets.Hide)
	}
}
