//go:build unix

package integrations

import (
	"encoding/base64"
	"testing"
	"time"

	"github.com/walpost/walpost/internal/vendormock"
)

// inboundTargets are the services with one incoming URL.
var inboundTargets = map[string]struct {
	target, variable, path string
	authorization          string // what is encoded as basic authentication
	topic                  string
	final                  int // a status that is not tried again; 0: none but 410
}{
	"zapier":  {target: "zapier.catch_hook", variable: "ZAPIER_HOOK_URL", path: "/hooks/catch/123456/" + hookPath + "/", topic: "contact.tagged"},
	"make":    {target: "make.custom_webhook", variable: "MAKE_HOOK_URL", path: "/" + hookPath, topic: "meeting.scheduled"},
	"n8n":     {target: "n8n.webhook", variable: "N8N_WEBHOOK_URL", path: "/webhook/" + hookPath, authorization: "walpost:" + n8nPassword, topic: "conversation.rating_left", final: 403},
	"slack":   {target: "slack.incoming_webhook", variable: "SLACK_WEBHOOK_URL", path: "/services/T0123/B0123/" + hookPath, topic: "lead.created", final: 404},
	"segment": {target: "segment.http", variable: "SEGMENT_URL", authorization: segmentKey + ":", topic: "contact.event_performed", final: 400},
}

func TestInbound(t *testing.T) {
	t.Parallel()
	for example, target := range inboundTargets {
		t.Run(example, func(t *testing.T) {
			t.Parallel()
			authorization := ""
			if target.authorization != "" {
				authorization = "Basic " + base64.StdEncoding.EncodeToString([]byte(target.authorization))
			}
			mock := vendormock.NewInbound(t, inboundSpec(t), target.target, authorization)
			r := start(t, example, map[string]string{target.variable: mock.URL + target.path},
				hookPath, segmentKey, n8nPassword, target.authorization+"\x00")
			happens := event(target.topic, sample(t, target.topic, 0))

			mock.Script(target.target, vendormock.Answer{Status: 429, Header: map[string]string{"Retry-After": "60"}})
			r.insert(happens)
			mock.Next()
			r.state(example, "retrying", 1)
			r.advance(301*time.Second, 5*time.Minute, mock.Server)
			if got := mock.Next(); got.Answered != 200 {
				t.Errorf("answered %d", got.Answered)
			}
			r.state(example, "delivered", 1)

			if target.final != 0 {
				mock.Script(target.target, vendormock.Answer{Status: target.final, Body: "channel_not_found"})
				r.insert(happens)
				r.state(example, "failed", 1)
			}
			mock.Script(target.target, vendormock.Answer{Status: 410})
			r.insert(happens)
			r.until("exists (select from walpost.webhook where name = $1 and disabled_at is not null)", example)
			r.stop()
		})
	}
}
