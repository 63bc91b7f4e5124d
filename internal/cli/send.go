package cli

import (
	"context"
	"net/http"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/daemon"
	"github.com/walpost/walpost/internal/ledger"
	"github.com/walpost/walpost/internal/route"
	"github.com/walpost/walpost/internal/ruletest"
	"github.com/walpost/walpost/sender"
)

func (a *app) sendCommand() *cobra.Command {
	s := &sending{app: a}
	cmd := &cobra.Command{
		Use:   "send WEBHOOK",
		Short: "Send a sample event to one webhook, for real",
		Long: `Send one event to one webhook, for real and at once, and show request, answer and
verdict. The event is a sample of the topic, or has the payload that you give. It is
not recorded, and not tried again. Whether a row like it would be sent is said, but
neither the webhook's "when" nor "enabled = false" keeps it from being sent.

Exits with 4 if the webhook does not take it. --dry-run shows the request and sends
nothing. Secrets are not shown.`,
		Example: `  walpost send crm --topic contact.tagged
  walpost send crm --topic contact.tagged --dry-run
  echo '{"invoice": {"id": 7}}' | walpost send books --topic invoice.paid --payload -`,
		Args:              oneArg("WEBHOOK"),
		ValidArgsFunction: a.completeWebhooks,
		RunE:              func(cmd *cobra.Command, args []string) error { return s.run(cmd.Context(), args[0]) },
	}
	s.out.addTo(cmd)
	cmd.Flags().StringVar(&s.topic, "topic", "", "the `TOPIC`; may be left out where the webhook takes only one")
	cmd.Flags().StringVar(&s.payload, "payload", "", "`FILE` with the event's payload, a JSON object; - reads standard input")
	cmd.Flags().BoolVar(&s.dryRun, "dry-run", false, "only show the request")
	return cmd
}

// sending is one run of walpost send.
type sending struct {
	*app
	out            output
	topic, payload string
	dryRun         bool

	config   *config.Config
	webhook  *config.Webhook
	table    *route.Table
	book     *ledger.Ledger // nil until captured() asks
	document sendDocument
}

func (s *sending) run(ctx context.Context, name string) (err error) {
	if s.config, err = s.load(); err != nil {
		return err
	}
	if err := mustKnow(s.config, name); err != nil {
		return err
	}
	s.webhook = s.config.Webhook(name)
	topic, err := s.chooseTopic()
	if err != nil {
		return err
	}
	payload, err := s.payloadFor(s.payload, topic)
	if err != nil {
		return err
	}
	table, diagnostics := route.Compile(s.config, route.WithCaptures(s.captured))
	if diagnostics.HasErrors() {
		return s.refuse(s.config.Files, diagnostics)
	}
	s.table = table
	defer func() {
		if s.book != nil {
			s.book.Close()
		}
	}()
	if err := s.deliver(ctx, topic, payload); err != nil {
		return err
	}
	if err := s.out.write(s.Stdout, s.document, s.document.text); err != nil {
		return err
	}
	if r := s.document.Result; r != nil && r.Verdict != sender.Delivered.String() {
		return &failure{code: exitCheck}
	}
	return nil
}

// captured answers captured() from the ledger, which only the webhooks that ask for it need.
func (s *sending) captured(ctx context.Context, webhook, key string) ([]byte, bool, error) {
	if s.book == nil {
		book, err := ledger.Open(ctx, ledger.Options{ConnString: s.config.Database.URL.Reveal()})
		if err != nil {
			return nil, false, err
		}
		s.book = book
	}
	return capturesOf(s.book)(ctx, webhook, key)
}

// chooseTopic gives the topic that --topic names, or the only one that the webhook takes.
func (s *sending) chooseTopic() (*config.Topic, error) {
	var taken []string
	for _, t := range s.config.Topics {
		if slices.ContainsFunc(s.webhook.Topics, func(pattern string) bool { return config.MatchTopic(pattern, t.Name) }) {
			taken = append(taken, t.Name)
		}
	}
	fix := "walpost send " + s.webhook.Name + " --topic " + taken[0]
	switch {
	case s.topic == "" && len(taken) == 1:
		return s.config.Topic(taken[0]), nil
	case s.topic == "":
		return nil, usage(fix, "walpost send needs a --topic. %s takes %s", s.webhook.Name, strings.Join(taken, ", "))
	}
	topic, err := mustKnowTopic(s.config, s.topic)
	if err != nil {
		return nil, err
	}
	if !slices.Contains(taken, topic.Name) {
		return nil, usage(fix, "%s does not take the topic %s, but %s", s.webhook.Name, topic.Name, strings.Join(taken, ", "))
	}
	return topic, nil
}

// deliver makes the request, sends it unless it is a dry run, and fills the document.
func (s *sending) deliver(ctx context.Context, topic *config.Topic, payload []byte) error {
	row := sampleRow(topic, payload)
	delivery, _, problem := s.table.Find(row, topic.Name, s.webhook.Name) // the webhook is known
	var request route.Request
	if problem == nil {
		request, problem = s.table.RenderBatch(ctx, []*route.Delivery{&delivery})
	}
	if problem != nil {
		return s.unmade(topic, problem)
	}
	s.document = newSendDocument(&delivery)
	s.document.Note = s.note(&delivery)
	if !s.dryRun {
		var err error
		if s.document.Result, request.Header, err = s.send(ctx, &delivery, request); err != nil {
			return err
		}
	}
	s.document.Request = ruletest.Describe(ruletest.NewSecrets(s.config), s.webhook, request)
	return nil
}

// send makes one attempt and gives the headers that went over the wire.
func (s *sending) send(ctx context.Context, d *route.Delivery, r route.Request) (*sendResult, http.Header, error) {
	endpoint, err := sender.New(daemon.EndpointOptions(s.config, s.webhook, buildVersion()))
	if err != nil {
		return nil, nil, err
	}
	defer endpoint.Close()
	attempt := sender.Attempt{
		DeliveryID: d.ID, Topic: d.Topic, Number: 1, Method: r.Method, URL: r.URL, Header: r.Header, Body: r.Body,
	}
	var judgement route.Judgement
	var problem *route.Problem
	if s.table.Judges(d.Webhook) {
		attempt.Judge = func(status int, header http.Header, body []byte) sender.Verdict {
			judgement, problem = s.table.Judge(ctx, d.Webhook, []*route.Delivery{d}, route.Response{Status: status, Header: header, Body: body})
			return ruletest.Opinion(judgement)
		}
	}
	wire := &wireHeader{header: http.Header{}}
	outcome := endpoint.Send(wire.trace(ctx), attempt)
	if interrupted(ctx) {
		return nil, nil, ctx.Err()
	}
	header := wire.written()
	if len(header) == 0 { // there was no connection
		header = r.Header
	}
	return newSendResult(outcome, judgement, problem), header, nil
}

// unmade is the failure of an event that no request can be made of.
func (s *sending) unmade(topic *config.Topic, p *route.Problem) error {
	switch {
	case p.Temporary:
		return notLookedUp(p)
	case p.Waiting:
		return &failure{code: exitCheck, problem: s.webhook.Name + " waits: its wait_for is not true, so nothing was sent"}
	}
	return &failure{
		code: exitCheck, problem: "the request can't be made: " + p.Error(),
		fix: "walpost repl --topic " + topic.Name + " evaluates expressions on the same sample",
	}
}

// note says why walpost run would not send a row like this; empty: it would.
func (s *sending) note(d *route.Delivery) string {
	if !s.webhook.Enabled {
		return "walpost run sends it nothing: the webhook has enabled = false"
	}
	deliveries, problems := s.table.Route(d.Row)
	if slices.ContainsFunc(deliveries, func(other route.Delivery) bool { return other.ID == d.ID }) {
		return ""
	}
	for _, p := range problems {
		if p.Topic == d.Topic && (p.Webhook == d.Webhook || p.Webhook == "") {
			return "walpost run would quarantine a row like this: " + p.Error()
		}
	}
	if s.webhook.When != nil {
		return "walpost run would not send a row like this: the webhook's \"when\" is not true"
	}
	return "walpost run would not send a row like this: no rule gives it the topic"
}
