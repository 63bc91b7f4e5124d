package cli

import (
	"context"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync"
)

// wireHeader collects the headers of the last request that was made with its context: those of the caller, and those
// that sender and net/http add.
type wireHeader struct {
	mu     sync.Mutex
	header http.Header
}

// trace makes requests with the context tell their headers.
func (w *wireHeader) trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		// A token may be fetched before the request, or the request be repeated with a new one.
		GetConn: func(string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.header = http.Header{}
		},
		WroteHeaderField: func(name string, values []string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			if !strings.HasPrefix(name, ":") { // HTTP/2 has method and URL among them
				w.header[http.CanonicalHeaderKey(name)] = values
			}
		},
	})
}

// written gives the headers.
func (w *wireHeader) written() http.Header {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.header.Clone()
}
