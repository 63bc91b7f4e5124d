package vendormock

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// SalesforceApp is the connected app that a mock Salesforce knows.
type SalesforceApp struct {
	ConsumerKey    string
	ConsumerSecret string // for client credentials

	// For the JWT bearer flow:
	Certificate *rsa.PublicKey
	Username    string
	Audience    string
}

// Salesforce is a mock Salesforce organisation. Its tokens have no lifetime that it would tell: they are good until
// [Salesforce.ExpireTokens].
type Salesforce struct {
	*Server
	app    SalesforceApp
	tokens map[string]bool // those that were given out; false: expired
	leads  map[string]map[string]any
}

// NewSalesforce starts a mock Salesforce; spec is of Salesforce's folder.
func NewSalesforce(t testing.TB, spec *Spec, app SalesforceApp) *Salesforce {
	// The upsert may create a lead, and then asks for what a creation asks for.
	if err := spec.Bind("lead.upsert", "lead.schema.json"); err != nil {
		t.Fatal(err)
	}
	s := &Salesforce{Server: newServer(t, spec), app: app, tokens: map[string]bool{}, leads: map[string]map[string]any{}}
	s.vendor = s
	return s
}

// ExpireTokens ends all sessions: the next requests with their tokens get a 401.
func (s *Salesforce) ExpireTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for token := range s.tokens {
		s.tokens[token] = false
	}
}

// Lead returns the fields of the lead with that external id; nil if there is none.
func (s *Salesforce) Lead(externalID string) map[string]any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.leads[externalID]
}

// Audience sets the login host that assertions must name, for an app that learns it from the mock's address.
func (s *Salesforce) Audience(host string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.app.Audience = host
}

// Tokens is how many tokens were given out.
func (s *Salesforce) Tokens() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.tokens)
}

// Token returns a good token; "" if there is none.
func (s *Salesforce) Token() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for token, good := range s.tokens {
		if good {
			return token
		}
	}
	return ""
}

func (s *Salesforce) authorize(r *Request) *Refusal {
	if strings.HasPrefix(r.Operation.ID, "token.") {
		r.Operation = s.tokenOperation(r)
		return s.credentialsPlace(r)
	}
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	good, known := s.tokens[token]
	switch {
	case !known:
		return refuse(http.StatusUnauthorized, "the token was never given out")
	case !good:
		return &Refusal{Status: http.StatusUnauthorized, Reason: "the token has expired", foreseen: true}
	}
	return nil
}

// tokenOperation: both flows have the same URL path, and the grant type tells them apart.
func (s *Salesforce) tokenOperation(r *Request) *Operation {
	if form, err := url.ParseQuery(string(r.Body)); err == nil && strings.HasSuffix(form.Get("grant_type"), "jwt-bearer") {
		return s.spec.Operation("token.jwt_bearer")
	}
	return s.spec.Operation("token.client_credentials")
}

// credentialsPlace refuses client credentials in the header, where x/oauth2 tries them first: operations.json has them in the form.
func (s *Salesforce) credentialsPlace(r *Request) *Refusal {
	if strings.HasPrefix(r.Header.Get("Authorization"), "Basic ") {
		return &Refusal{Status: http.StatusBadRequest, Reason: "invalid_client: client_id is missing in the form", foreseen: true}
	}
	return nil
}

func (s *Salesforce) serve(r *Request) Answer {
	form, _ := url.ParseQuery(string(r.Body)) // it was parsed before, where it is one
	switch r.Operation.ID {
	case "token.client_credentials":
		if form.Get("client_id") != s.app.ConsumerKey || form.Get("client_secret") != s.app.ConsumerSecret {
			return refusing(http.StatusUnauthorized, "invalid_client: the consumer key or secret is wrong")
		}
		return s.token()
	case "token.jwt_bearer":
		if problem := s.assertion(form.Get("assertion")); problem != "" {
			return refusing(http.StatusBadRequest, "invalid_grant: %s", problem)
		}
		return s.token()
	case "lead.upsert":
		return s.upsert(r)
	default:
		return refusing(http.StatusNotFound, "the mock doesn't do %s", r.Operation.ID)
	}
}

// token gives a token out, without expires_in.
func (s *Salesforce) token() Answer {
	token := fmt.Sprintf("00D-session-%d-of-the-mock", len(s.tokens)+1)
	s.tokens[token] = true
	return Answer{Status: http.StatusOK, Body: map[string]any{
		"access_token": token, "instance_url": s.URL, "token_type": "Bearer", "scope": "api",
		"issued_at": fmt.Sprint(time.Now().UnixMilli()),
	}}
}

func (s *Salesforce) upsert(r *Request) Answer {
	id, external := r.Params["value"], r.Params["ExternalIdField__c"]
	lead, _ := r.JSON.(map[string]any)
	if lead[external] != nil || lead["Id"] != nil {
		return refusing(http.StatusBadRequest, "INVALID_FIELD: the body can't hold Id nor the field %s", external)
	}
	_, exists := s.leads[id]
	s.leads[id] = lead
	status := http.StatusCreated
	if exists {
		status = http.StatusOK
	}
	return Answer{Status: status, Body: map[string]any{
		"id": "00Q" + id, "success": true, "errors": []any{}, "created": !exists,
	}}
}

// refused is {"error", "error_description"} for tokens, and a list of errors elsewhere.
func (s *Salesforce) refused(refusal *Refusal) any {
	code, rest, _ := strings.Cut(refusal.Reason, ": ")
	if strings.HasPrefix(code, "invalid_") {
		return map[string]string{"error": code, "error_description": rest}
	}
	code = map[int]string{
		http.StatusUnauthorized: "INVALID_SESSION_ID", http.StatusNotFound: "NOT_FOUND", http.StatusBadRequest: "REQUIRED_FIELD_MISSING",
	}[refusal.Status]
	return []map[string]string{{"message": refusal.Reason, "errorCode": code}}
}

// assertion says what is wrong with a JWT (RFC 7523, and Salesforce's limit of three minutes); "" if nothing is.
func (s *Salesforce) assertion(jwt string) string {
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return "the assertion is no JWT"
	}
	var header struct{ Alg string }
	var claims struct {
		Iss, Sub, Aud string
		Exp           int64
	}
	if err := decode(parts[0], &header); err != nil || header.Alg != "RS256" {
		return "the assertion's algorithm is not RS256"
	}
	if err := decode(parts[1], &claims); err != nil {
		return "the assertion's claims can't be read"
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		return "the assertion's signature is not Base64"
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	now := s.now().Unix()
	switch {
	case rsa.VerifyPKCS1v15(s.app.Certificate, crypto.SHA256, sum[:], signature) != nil:
		return "the assertion's signature is wrong"
	case claims.Iss != s.app.ConsumerKey:
		return "iss is not the consumer key"
	case claims.Sub != s.app.Username:
		return "sub is not a user that has approved the app"
	case claims.Aud != s.app.Audience:
		return "aud is not the login host"
	case claims.Exp < now || claims.Exp > now+180:
		return fmt.Sprintf("exp is %d s from now, and may be at most 180", claims.Exp-now)
	}
	return ""
}

func decode(part string, into any) error {
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}
