package admin

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/rs/zerolog"
)

// api answers the requests.
type api struct {
	daemon Daemon
	log    zerolog.Logger
	token  string
}

// handler has the health endpoints for everybody and all else, what isn't there included, for who may.
func (a *api) handler() http.Handler {
	private := http.NewServeMux()
	private.HandleFunc("GET /api/v1/status", a.status)
	private.HandleFunc("POST /-/reload", a.reload)

	all := http.NewServeMux()
	all.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { plain(w, http.StatusOK, "ok") })
	all.HandleFunc("GET /readyz", a.ready)
	all.Handle("/", a.guard(http.NewCrossOriginProtection().Handler(private)))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		all.ServeHTTP(w, r)
	})
}

func (a *api) ready(w http.ResponseWriter, r *http.Request) {
	if err := a.daemon.Ready(r.Context()); err != nil {
		plain(w, http.StatusServiceUnavailable, "not ready: "+err.Error())
		return
	}
	plain(w, http.StatusOK, "ready")
}

func (a *api) status(w http.ResponseWriter, r *http.Request) {
	report, err := a.daemon.Status(r.Context())
	if err != nil {
		a.log.Warn().Err(err).Msg("status not answered")
		a.answer(w, http.StatusServiceUnavailable, problem{Format, err.Error()})
		return
	}
	a.answer(w, http.StatusOK, report)
}

func (a *api) reload(w http.ResponseWriter, r *http.Request) {
	err := a.daemon.Reload(r.Context())
	var rejected *RejectedError
	switch {
	case errors.As(err, &rejected):
		a.answer(w, http.StatusUnprocessableEntity, json.RawMessage(rejected.Diagnostics))
	case err != nil:
		a.answer(w, http.StatusConflict, problem{Format, err.Error()})
	default:
		a.answer(w, http.StatusOK, reloaded{Format, true})
	}
}

// problem is the answer to a request that can't be fulfilled.
type problem struct {
	Format int    `json:"format"`
	Error  string `json:"error"`
}

// reloaded is the answer to a reload that went into force.
type reloaded struct {
	Format   int  `json:"format"`
	Reloaded bool `json:"reloaded"`
}

func plain(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n")) // a client that has gone needs no answer
}

func (a *api) answer(w http.ResponseWriter, status int, document any) {
	text, err := json.MarshalIndent(document, "", "  ")
	if err != nil {
		a.log.Error().Err(err).Msg("answer not encoded")
		plain(w, http.StatusInternalServerError, "internal error")
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(text, '\n')) // as in plain
}
