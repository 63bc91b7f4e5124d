//go:build unix

package pgembed

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rs/zerolog"
)

// archive is what Maven Central has of a release: a zip file around testdata/postgres.txz,
// whose programs call those of $WALPOST_TEST_PG_BIN.
func archive(t *testing.T) []byte {
	t.Helper()
	text, err := os.ReadFile("testdata/postgres.txz")
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	f, err := z.Create("postgres-linux-x86_64.txz")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// mirror serves the archive and its checksum and counts the requests for the archive.
func mirror(t *testing.T, jar []byte, sum [sha256.Size]byte) (url string, requests *atomic.Int64) {
	t.Helper()
	requests = new(atomic.Int64)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body := jar
		if strings.HasSuffix(r.URL.Path, ".sha256") {
			body = []byte(hex.EncodeToString(sum[:]))
		} else {
			requests.Add(1)
		}
		if _, err := w.Write(body); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	t.Cleanup(http.DefaultClient.CloseIdleConnections) // embedded-postgres uses it
	return server.URL, requests
}

// leftovers lists what is in a cache that should not be.
func leftovers(t *testing.T, cache string) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(cache, ".*"))
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// TestDownload changes the environment, so it runs alone.
func TestDownload(t *testing.T) {
	real, ok, err := findBinaries(t.Context(), "", 0)
	if err != nil || !ok {
		t.Fatalf("find a Postgres to run: %v", err)
	}
	t.Setenv("WALPOST_TEST_PG_BIN", real.dir)
	jar := archive(t)
	url, requests := mirror(t, jar, sha256.Sum256(jar))
	cache, err := os.MkdirTemp("/tmp", "walpost-test-cache-") // where the server's user can enter
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(cache); err != nil {
			t.Error(err)
		}
	})
	if err := os.Chmod(cache, 0o755); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time from the cache
		found, err := download(t.Context(), cache, 17, url, zerolog.Nop())
		if err != nil {
			t.Fatal(err)
		}
		if want := filepath.Join(cache, "postgres-17.5.0", "bin"); found.dir != want {
			t.Errorf("found %s, want %s", found.dir, want)
		}
		server := start(t, Options{Bin: found.dir})
		if got := ask(t, connect(t, server.URL("postgres")), "select 'runs'"); got != "runs" {
			t.Errorf("got %s", got)
		}
	}
	if n := requests.Load(); n != 1 {
		t.Errorf("%d downloads, want 1", n)
	}
	if rest := leftovers(t, cache); len(rest) != 0 {
		t.Errorf("%q are left", rest)
	}
}

func TestDownloadFails(t *testing.T) {
	t.Parallel()
	jar := archive(t)
	wrongSum, _ := mirror(t, jar, sha256.Sum256(nil))
	noZip, _ := mirror(t, []byte("hello"), sha256.Sum256([]byte("hello")))
	missing := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(missing.Close)
	closed := httptest.NewServer(nil)
	closed.Close()
	for name, test := range map[string]struct {
		major     int
		url, want string
	}{
		"checksum":   {0, wrongSum, "no Postgres server is found on this machine, and none can be downloaded: download postgres: downloaded checksums do not match"},
		"no archive": {18, noZip, "no Postgres 18 server is found on this machine, and none can be downloaded: download postgres: error fetching postgres"},
		"not there":  {16, missing.URL, "no version found matching 16.9.0"},
		"no network": {0, closed.URL, "unable to connect to http://127.0.0.1"},
		"unknown":    {99, closed.URL, "there is no download of version 99"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cache := t.TempDir()
			_, err := download(t.Context(), cache, test.major, test.url, zerolog.Nop())
			var setup *SetupError
			if !errors.As(err, &setup) || !strings.Contains(setup.Fix, BinEnv) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
			if rest := leftovers(t, cache); len(rest) != 0 {
				t.Errorf("%q are left", rest)
			}
		})
	}
}

// TestDownloadCancelled: Ctrl-C does not wait for a slow network.
func TestDownloadCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		cancel()
		<-release
	}))
	cache := t.TempDir()
	_, err := download(ctx, cache, 0, slow.URL, zerolog.Nop())
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if rest := leftovers(t, cache); len(rest) != 0 {
		t.Errorf("%q are left", rest)
	}
	close(release)
	slow.Close() // waits for its requests
	http.DefaultClient.CloseIdleConnections()
}
