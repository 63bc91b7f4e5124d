package vendormock

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
	"time"
)

// patience bounds how long a test waits for requests; reaching it is a failure.
const patience = 60 * time.Second

// Answer is what a vendor answers.
type Answer struct {
	Status int // 0, in a script: as if there were no script
	Header map[string]string
	Body   any // nil: none; string: as it is; else as JSON
	// Lost, in a script: the request has its effect, and then the connection breaks.
	Lost bool
}

// vendor is what is peculiar to one vendor. Its methods are called with the server locked.
type vendor interface {
	// authorize checks who asks.
	authorize(r *Request) *Refusal
	// serve does what the request asks for.
	serve(r *Request) Answer
	// refused is the vendor's way to say so.
	refused(refusal *Refusal) any
}

// Server is a vendor's API at a local address. What the vendor would refuse is an error of the test, unless the refusal is
// scripted, or [Server.AllowRefusals] is called.
type Server struct {
	URL string // scheme and host

	t       testing.TB
	spec    *Spec
	vendor  vendor
	server  *httptest.Server
	arrived chan *Request

	mu       sync.Mutex
	requests []*Request
	scripts  map[string][]Answer
	refusals []*Refusal
	allowed  bool
	ahead    time.Duration // how far the vendor's clock is ahead
	running  int
	most     int
	gate     *gate
}

// gate holds requests back until so many are there together.
type gate struct {
	need int
	open chan struct{}
}

func newServer(t testing.TB, spec *Spec) *Server {
	s := &Server{t: t, spec: spec, arrived: make(chan *Request, 10_000), scripts: map[string][]Answer{}}
	s.server = httptest.NewServer(s)
	s.URL = s.server.URL
	t.Cleanup(s.server.Close)
	return s
}

// Script sets the answers of the next requests of an operation, in this order. They are given to requests that the
// vendor would take, and in place of what it would answer.
func (s *Server) Script(operation string, answers ...Answer) {
	s.spec.Operation(operation) // it exists
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scripts[operation] = append(s.scripts[operation], answers...)
}

// AllowRefusals makes refusals no errors of the test: it asks for them with [Server.Refusals].
func (s *Server) AllowRefusals() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.allowed = true
}

// Refusals are what the vendor has refused without being told to.
func (s *Server) Refusals() []*Refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.refusals)
}

// Advance puts the vendor's clock ahead.
func (s *Server) Advance(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ahead += d
}

func (s *Server) now() time.Time { return time.Now().Add(s.ahead) }

// Gate holds requests back until n are there at the same time, once.
func (s *Server) Gate(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gate = &gate{need: n, open: make(chan struct{})}
}

// MostAtOnce is how many requests were under way at the same time.
func (s *Server) MostAtOnce() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.most
}

// Next waits for the next request that was answered, of all operations but token requests.
func (s *Server) Next() *Request {
	s.t.Helper()
	select {
	case r := <-s.arrived:
		return r
	case <-time.After(patience):
		s.t.Fatal("no request arrives at " + s.spec.Vendor)
		return nil
	}
}

// Requests are those of an operation that were answered so far.
func (s *Server) Requests(operation string) (all []*Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.requests {
		if r.Operation != nil && r.Operation.ID == operation {
			all = append(all, r)
		}
	}
	return all
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		s.t.Errorf("%s: read the body: %v", s.spec.Vendor, err)
	}
	s.enter()
	r := &Request{Method: req.Method, URL: req.URL, Header: req.Header, Body: body}
	answer := s.answer(r)
	s.leave(r, answer)
	if answer.Lost {
		panic(http.ErrAbortHandler)
	}
	write(w, answer)
}

func (s *Server) enter() {
	s.mu.Lock()
	s.running++
	s.most = max(s.most, s.running)
	g := s.gate
	if g != nil && s.running >= g.need {
		close(g.open)
		s.gate = nil
	}
	s.mu.Unlock()
	if g == nil {
		return
	}
	select {
	case <-g.open:
	case <-time.After(patience):
		s.t.Errorf("there are never %d requests at once", g.need)
	}
}

func (s *Server) leave(r *Request, answer Answer) {
	r.Answered = answer.Status
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running--
	s.requests = append(s.requests, r)
	if r.Operation == nil || r.Operation.form == nil {
		s.arrived <- r
	}
}

// answer decides under the lock.
func (s *Server) answer(r *Request) Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	refusal := s.spec.match(r)
	if refusal == nil {
		refusal = s.vendor.authorize(r)
	}
	if refusal == nil {
		refusal = r.check()
	}
	if refusal != nil {
		return s.refusal(r, refusal)
	}
	var scripted Answer
	if script := s.scripts[r.Operation.ID]; len(script) > 0 {
		scripted, s.scripts[r.Operation.ID] = script[0], script[1:]
	}
	if scripted.Status != 0 && !scripted.Lost {
		return scripted
	}
	answer := s.vendor.serve(r)
	answer.Lost = scripted.Lost
	if refusal, refused := answer.Body.(*Refusal); refused {
		return s.refusal(r, refusal)
	}
	return answer
}

func (s *Server) refusal(r *Request, refusal *Refusal) Answer {
	s.refusals = append(s.refusals, refusal)
	if !s.allowed && !refusal.foreseen {
		s.t.Errorf("%s refuses %s %s: %v", s.spec.Vendor, r.Method, r.URL.Path, refusal)
	}
	return Answer{Status: refusal.Status, Body: s.vendor.refused(refusal)}
}

// refusing is the answer of a serve that refuses after all.
func refusing(status int, format string, args ...any) Answer {
	return Answer{Status: status, Body: refuse(status, format, args...)}
}

func write(w http.ResponseWriter, a Answer) {
	for name, value := range a.Header {
		w.Header().Set(name, value)
	}
	switch body := a.Body.(type) {
	case nil:
		w.WriteHeader(a.Status)
	case string:
		w.WriteHeader(a.Status)
		fmt.Fprint(w, body)
	default:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(a.Status)
		_ = json.NewEncoder(w).Encode(body) // the client may be gone
	}
}
