package vendormock

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func spec(t *testing.T, vendor string) *Spec {
	t.Helper()
	s, err := Load("../../examples/integrations/" + vendor + "/testdata")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func inbound(t *testing.T) *Spec {
	t.Helper()
	s, err := Load("../../examples/integrations/testdata/inbound")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// send makes a request; headers are pairs.
func send(t *testing.T, method, address, body string, headers ...string) (status int, header http.Header, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(text)
}

// call is a request and the status that it must get.
type call struct {
	method, path, body string
	headers            []string
	want               int
}

func (c call) make(t *testing.T, base string) string {
	t.Helper()
	status, _, answer := send(t, c.method, base+c.path, c.body, c.headers...)
	if status != c.want {
		t.Errorf("%s %s %s: %d %s, want %d", c.method, c.path, c.body, status, answer, c.want)
	}
	return answer
}

func TestSalesforce(t *testing.T) {
	t.Parallel()
	s := NewSalesforce(t, spec(t, "salesforce"), SalesforceApp{ConsumerKey: "key", ConsumerSecret: "secret"})
	s.AllowRefusals()
	form := []string{"Content-Type", "application/x-www-form-urlencoded"}
	call{"POST", "/services/oauth2/token", "grant_type=client_credentials&client_id=key&client_secret=wrong", form, 401}.make(t, s.URL)
	call{"POST", "/services/oauth2/token", "grant_type=password&client_id=key&client_secret=secret", form, 400}.make(t, s.URL)
	call{"POST", "/services/oauth2/token", "grant_type=client_credentials&client_id=key&client_secret=secret", nil, 415}.make(t, s.URL)
	var token struct {
		AccessToken string `json:"access_token"`
	}
	answer := call{"POST", "/services/oauth2/token", "grant_type=client_credentials&client_id=key&client_secret=secret", form, 200}.make(t, s.URL)
	if err := json.Unmarshal([]byte(answer), &token); err != nil || token.AccessToken != s.Token() || strings.Contains(answer, "expires_in") {
		t.Fatalf("token %s %v", answer, err)
	}
	bearer := []string{"Authorization", "Bearer " + token.AccessToken}
	const lead, path = `{"LastName":"Lovelace","Company":"A","Email":"ada@example.com"}`, "/services/data/v62.0/sobjects/Lead/Gist_Id__c/7"
	for _, c := range []call{
		{"PATCH", path, lead, nil, 401},
		{"PATCH", path, lead, []string{"Authorization", "Bearer other"}, 401},
		{"PUT", path, lead, bearer, 405},
		{"PATCH", "/services/data/v62.0/sobjects/Lead", lead, bearer, 405},
		{"PATCH", "/leads/7", lead, bearer, 404},
		{"PATCH", path + "?x=1", lead, bearer, 400},
		{"PATCH", path, `{"LastName":"Lovelace"}`, bearer, 400},
		{"PATCH", path, `{"LastName":"Lovelace","Company":"A","Gist_Id__c":"7"}`, bearer, 400},
		{"PATCH", path, `{"LastName":`, bearer, 400},
		{"PATCH", path, lead, bearer, 201},
		{"PATCH", path, lead, bearer, 200},
	} {
		c.make(t, s.URL)
	}
	if got := s.Lead("7"); got["Email"] != "ada@example.com" {
		t.Errorf("lead %v", got)
	}
	s.ExpireTokens()
	if answer := (call{"PATCH", path, lead, bearer, 401}).make(t, s.URL); !strings.Contains(answer, "INVALID_SESSION_ID") {
		t.Errorf("answer %s", answer)
	}
	if got := len(s.Refusals()); got != 13 {
		t.Errorf("%d refusals: %v", got, s.Refusals())
	}
}

func TestHubSpot(t *testing.T) {
	t.Parallel()
	h := NewHubSpot(t, spec(t, "hubspot"), "token")
	h.AllowRefusals()
	auth := []string{"Authorization", "Bearer token"}
	const path = "/crm/v3/objects/contacts/batch/upsert"
	input := func(email, trace string) string {
		return `{"id":"` + email + `","idProperty":"email","properties":{"email":"` + email + `"}` + trace + `}`
	}
	for _, c := range []call{
		{"POST", path, `{"inputs":[` + input("ada@example.com", "") + `]}`, nil, 401},
		{"POST", path, `{"inputs":[]}`, auth, 400},
		{"POST", path, `{"inputs":[{"id":"a@b","idProperty":"email","properties":{"seats":3}}]}`, auth, 400},
		{"POST", path, `{"inputs":[{"id":"a@b","properties":{}}]}`, auth, 400},
		{"POST", path, `{"inputs":[` + strings.Repeat(input("a@b", "")+",", 100) + input("a@b", "") + `]}`, auth, 400},
		{"POST", path, `{"inputs":[` + input("a@b", "") + "," + input("A@b", "") + `]}`, auth, 400},
		{"POST", path, `{"inputs":[` + input("nobody", "") + `]}`, auth, 400},
		{"POST", path, `{"inputs":[` + input("ada@example.com", "") + `]}`, auth, 200},
	} {
		c.make(t, h.URL)
	}
	partial := call{"POST", path, `{"inputs":[` + input("nobody", `,"objectWriteTraceId":"t-1"`) + "," + input("c@d", "") + `]}`, auth, 207}.make(t, h.URL)
	if !strings.Contains(partial, `"objectWriteTraceId":["t-1"]`) || !strings.Contains(partial, `"numErrors":1`) {
		t.Errorf("answer %s", partial)
	}
	if h.Contact("ada@example.com") == nil || h.Contact("c@d") == nil || h.Contact("nobody") != nil {
		t.Error("the wrong contacts are there")
	}
}

func TestZendesk(t *testing.T) {
	t.Parallel()
	z := NewZendesk(t, spec(t, "zendesk"), "agent@example.com", "token")
	z.AllowRefusals()
	auth := []string{"Authorization", z.user}
	keyed := append(auth, "Idempotency-Key", "k")
	const ticket = `{"ticket":{"external_id":"42","comment":{"body":"Hi"}}}`
	for _, c := range []call{
		{"POST", "/api/v2/tickets", ticket, nil, 401},
		{"POST", "/api/v2/tickets", `{"ticket":{"external_id":"42"}}`, auth, 400},
		{"POST", "/api/v2/tickets", `{"ticket":{"comment":{"body":"Hi"},"state":"open"}}`, auth, 400},
		{"POST", "/api/v2/tickets", ticket, append(auth, "Idempotency-Key", strings.Repeat("k", 256)), 400},
		{"POST", "/api/v2/tickets", ticket, keyed, 201},
		{"POST", "/api/v2/tickets", ticket, keyed, 201},
		{"POST", "/api/v2/tickets", `{"ticket":{"comment":{"body":"Other"}}}`, keyed, 400},
		{"PUT", "/api/v2/tickets/1001", `{"ticket":{"comment":{"body":"Hello?"}}}`, auth, 200},
		{"PUT", "/api/v2/tickets/1002", `{"ticket":{"comment":{"body":"Hello?"}}}`, auth, 404},
		{"PUT", "/api/v2/tickets/1001", `{"ticket":{"status":"closed"}}`, auth, 200},
		{"PUT", "/api/v2/tickets/1001", `{"ticket":{"comment":{"body":"Still?"}}}`, auth, 422},
	} {
		c.make(t, z.URL)
	}
	if got := z.Tickets(); len(got) != 1 || got[0].Status != "closed" || len(got[0].Comments) != 2 {
		t.Errorf("tickets %v", got)
	}
	z.Advance(2 * time.Hour)
	call{"POST", "/api/v2/tickets", ticket, keyed, 201}.make(t, z.URL)
	if got := len(z.Tickets()); got != 2 {
		t.Errorf("there are %d tickets after two hours", got)
	}
	if found := (call{"GET", "/api/v2/tickets?external_id=42", "", auth, 200}).make(t, z.URL); !strings.Contains(found, `"count":2`) {
		t.Errorf("found %s", found)
	}
}

func TestMailchimp(t *testing.T) {
	t.Parallel()
	m := NewMailchimp(t, spec(t, "mailchimp"), "key-us21", "list")
	m.AllowRefusals()
	auth := []string{"Authorization", "Basic YW55OmtleS11czIx"} // any:key-us21
	path := "/3.0/lists/list/members/" + subscriberHash("Ada@example.com")
	const member = `{"email_address":"ada@example.com","status_if_new":"subscribed","status":"subscribed"}`
	for _, c := range []call{
		{"PUT", path, member, nil, 401},
		{"PUT", path, `{"email_address":"ada@example.com"}`, auth, 400},
		{"PUT", path, `{"email_address":"grace@example.com","status_if_new":"subscribed"}`, auth, 400},
		{"PUT", path + "?skip_merge_validation=yes", member, auth, 400},
		{"PUT", strings.Replace(path, "lists/list", "lists/other", 1), member, auth, 404},
		{"PUT", path + "?skip_merge_validation=true", member, auth, 200},
	} {
		c.make(t, m.URL)
	}
	if got := m.Status("ADA@example.com"); got != "subscribed" {
		t.Errorf("status %q", got)
	}
	m.Compliance("ada@example.com")
	if answer := (call{"PUT", path, member, auth, 400}).make(t, m.URL); !strings.Contains(answer, "Member In Compliance State") {
		t.Errorf("answer %s", answer)
	}
}

func TestGA4(t *testing.T) {
	t.Parallel()
	g := NewGA4(t, spec(t, "ga4"), "G-1", "secret")
	g.AllowRefusals()
	body := func(at time.Time) string {
		text, err := json.Marshal(map[string]any{
			"client_id": "1", "timestamp_micros": at.UnixMicro(), "events": []any{map[string]any{"name": "page_view", "params": map[string]any{}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	const path = "/mp/collect?measurement_id=G-1&api_secret=secret"
	for _, c := range []call{
		{"POST", "/mp/collect?measurement_id=G-1", body(time.Now()), nil, 401},
		{"POST", "/mp/collect?measurement_id=G-1&api_secret=other", body(time.Now()), nil, 401},
		{"POST", path, `{"client_id":"1","events":[]}`, nil, 400},
		{"POST", path, `{"client_id":"1","events":[{"name":"page_view","params":{"ga_page":"x"}}]}`, nil, 400},
		{"POST", path, body(time.Now().Add(-73 * time.Hour)), nil, 400},
		{"POST", path, body(time.Now().Add(-71 * time.Hour)), nil, 204},
		{"POST", "/debug" + path, body(time.Now()), nil, 200},
	} {
		c.make(t, g.URL)
	}
}

func TestInbound(t *testing.T) {
	t.Parallel()
	for target, calls := range map[string][]call{
		"zapier.catch_hook":   {{"POST", "/hooks/catch/1/2/", `{"a":1}`, nil, 200}, {"DELETE", "/hooks/catch/1/2/", "", nil, 405}},
		"make.custom_webhook": {{"POST", "/token", `{}`, nil, 200}},
		"n8n.webhook":         {{"POST", "/webhook/x", `{}`, nil, 200}, {"POST", "/other/x", `{}`, nil, 404}},
		"slack.incoming_webhook": {
			{"POST", "/services/T1/B1/x", `{"text":"hi"}`, nil, 200}, {"POST", "/services/T1/B1/x", `{"message":"hi"}`, nil, 400},
		},
		"segment.http": {
			{"POST", "/v1/track", `{"userId":"1","event":"x"}`, nil, 200},
			{"POST", "/v1/track", `{"userId":"1"}`, nil, 400},
			{"POST", "/v1/batch", `{"batch":[{"type":"identify","userId":"1"}]}`, nil, 200},
			{"POST", "/v1/batch", `{"batch":[{"type":"identify"}]}`, nil, 400},
			{"POST", "/v1/batch", `{}`, nil, 400},
		},
	} {
		s := NewInbound(t, inbound(t), target, "")
		s.AllowRefusals()
		for _, c := range calls {
			c.make(t, s.URL)
		}
	}
	s := NewInbound(t, inbound(t), "segment.http", "Basic x")
	s.AllowRefusals()
	call{"POST", "/v1/track", `{"userId":"1","event":"x"}`, nil, 401}.make(t, s.URL)
}

func TestScript(t *testing.T) {
	t.Parallel()
	s := NewInbound(t, inbound(t), "slack.incoming_webhook", "")
	s.Script("slack.incoming_webhook", Answer{Status: 429, Header: map[string]string{"Retry-After": "30"}}, Answer{Lost: true}, Answer{})
	const path, body = "/services/T1/B1/x", `{"text":"hi"}`
	if status, header, _ := send(t, "POST", s.URL+path, body); status != 429 || header.Get("Retry-After") != "30" {
		t.Errorf("got %d %v", status, header)
	}
	if status, _, answer := send(t, "POST", s.URL+path, body); status != 0 || !strings.Contains(answer, "EOF") {
		t.Errorf("got %d %s", status, answer)
	}
	for range 2 {
		if status, _, answer := send(t, "POST", s.URL+path, body); status != 200 || answer != "ok" {
			t.Errorf("got %d %s", status, answer)
		}
	}
	if got := len(s.Requests("slack.incoming_webhook")); got != 4 {
		t.Errorf("%d requests", got)
	}
	if got := s.Next(); got.Answered != 429 || !bytes.Equal(got.Body, []byte(body)) {
		t.Errorf("first request %+v", got)
	}
}

func TestCheckLooksAtTheHost(t *testing.T) {
	t.Parallel()
	s := spec(t, "zendesk")
	for address, want := range map[string]int{
		"https://acme.zendesk.com/api/v2/tickets":      0,
		"https://acme.zendesk.com.evil/api/v2/tickets": http.StatusMisdirectedRequest,
		"http://acme.zendesk.com/api/v2/tickets":       http.StatusMisdirectedRequest,
		"https://acme.zendesk.com/api/v2/ticket":       http.StatusNotFound,
	} {
		u, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		r := &Request{
			Method: "POST", URL: u, Header: http.Header{"Content-Type": {"application/json"}},
			Body: []byte(`{"ticket":{"comment":{"body":"Hi"}}}`),
		}
		refusal := s.Check(r)
		if want == 0 && refusal != nil || want != 0 && (refusal == nil || refusal.Status != want) {
			t.Errorf("%s: %v, want %d", address, refusal, want)
		}
	}
}
