package daemon

import (
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"

	"github.com/walpost/walpost/config"
)

// configMap is a folder as Kubernetes mounts one: links into a hidden folder, which is a link that is swapped.
type configMap struct {
	t    testing.TB
	path string
}

func newConfigMap(t testing.TB, version string, files map[string]string) *configMap {
	t.Helper()
	m := &configMap{t: t, path: t.TempDir()}
	m.swap(version, files)
	for name := range files {
		m.must(os.Symlink(filepath.Join("..data", name), filepath.Join(m.path, name)))
	}
	return m
}

// swap puts a new version in place, and removes the one before.
func (m *configMap) swap(version string, files map[string]string) {
	m.t.Helper()
	folder, link := filepath.Join(m.path, ".."+version), filepath.Join(m.path, "..data")
	m.must(os.Mkdir(folder, 0o755))
	for name, text := range files {
		m.must(os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600))
	}
	before, _ := os.Readlink(link)
	m.must(os.Symlink(".."+version, link+"_tmp"))
	m.must(os.Rename(link+"_tmp", link))
	if before != "" {
		m.must(os.RemoveAll(filepath.Join(m.path, before)))
	}
}

func (m *configMap) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *configMap) fingerprint() string {
	m.t.Helper()
	f, err := Fingerprint(m.path)
	m.must(err)
	return f
}

func TestFingerprintIsOfContentAlone(t *testing.T) {
	t.Parallel()
	m := newConfigMap(t, "v1", map[string]string{"a.hcl": "1", "b.hcl": "2"})
	first := m.fingerprint()
	m.swap("v2", map[string]string{"a.hcl": "1", "b.hcl": "2"})
	m.must(os.WriteFile(filepath.Join(m.path, ".hidden.hcl"), nil, 0o600))
	m.must(os.WriteFile(filepath.Join(m.path, "notes.txt"), nil, 0o600))
	if m.fingerprint() != first {
		t.Error("the same content has another fingerprint")
	}
	for version, files := range map[string]map[string]string{
		"edited": {"a.hcl": "1", "b.hcl": "3"}, "moved": {"a.hcl": "12", "b.hcl": ""}, "swapped": {"a.hcl": "2", "b.hcl": "1"},
	} {
		m.swap(version, files)
		if m.fingerprint() == first {
			t.Errorf("%s content has the same fingerprint", version)
		}
	}
	m.must(os.Remove(filepath.Join(m.path, "b.hcl")))
	one, err := Fingerprint(filepath.Join(m.path, "a.hcl"))
	m.must(err)
	if one != m.fingerprint() {
		t.Error("a file differs from a folder of it")
	}
	m.must(os.RemoveAll(filepath.Join(m.path, "..data")))
	if _, err := Fingerprint(m.path); err == nil {
		t.Error("a link to nothing is no error")
	}
	if _, err := Fingerprint(filepath.Join(m.path, "missing.hcl")); err == nil {
		t.Error("no file is no error")
	}
}

func TestPollingReloadsWhatChanges(t *testing.T) {
	t.Parallel()
	r := newRig(t, one)
	version := func(path string) map[string]string {
		r.edit(strings.Replace(one, "/hook", path, 1))
		return map[string]string{"walpost.hcl": r.hcl}
	}
	m := newConfigMap(t, "v1", version("/hook"))
	var loads atomic.Int32
	looks := make(chan struct{})
	d := r.start(func(o *Options) {
		o.PollEvery = 10 * time.Millisecond
		o.Load = func() (*config.Config, hcl.Diagnostics) {
			loads.Add(1)
			env := func(string) (string, bool) { return r.db.URL, true }
			return config.Load(m.path, config.WithEnv(env))
		}
		o.Fingerprint = func() (string, error) {
			select {
			case looks <- struct{}{}:
			default:
			}
			return Fingerprint(m.path)
		}
	})
	unread := func() {
		t.Helper()
		n := loads.Load()
		for range 10 {
			<-looks
		}
		if got := loads.Load(); got != n {
			t.Errorf("read %d times though nothing has changed", got-n)
		}
	}
	delivered := func(path string) {
		t.Helper()
		r.insert(tagged("1"))
		if got := r.receiver.next(); got.path != path {
			t.Errorf("sent to %s, want %s", got.path, path)
		}
	}
	reloaded := func(ok bool, since time.Time) {
		t.Helper()
		d.waitFor(func(s Status) bool {
			return s.Reload != nil && s.Reload.At.After(since) && (s.Reload.Error == "") == ok
		})
	}
	unread()
	delivered("/hook")

	at := time.Now()
	m.swap("v2", version("/moved"))
	reloaded(true, at)
	delivered("/moved")

	at = time.Now()
	m.swap("v3", map[string]string{"walpost.hcl": `webhook "hook" {`})
	reloaded(false, at)
	unread() // what is broken is reported once
	delivered("/moved")

	at = time.Now()
	m.swap("v4", map[string]string{}) // the link leads nowhere
	reloaded(false, at)
	unread()
	delivered("/moved")

	at = time.Now()
	m.swap("v5", version("/mended"))
	reloaded(true, at)
	unread()
	delivered("/mended")
	if d.Config().Webhook("hook") == nil {
		t.Error("the running configuration has no webhook")
	}

	// A reload that was asked for isn't followed by another.
	m.swap("v6", version("/asked"))
	if err := d.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	delivered("/asked")
	d.mustStop()
	r.receiver.none()
}
