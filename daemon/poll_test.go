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

// polled is a daemon whose configuration is a configMap that is looked at often.
type polled struct {
	*rig
	*configMap
	daemon *running
	loads  atomic.Int32
	looks  chan struct{} // gets something for each look at the content
}

func newPolled(t *testing.T) *polled {
	t.Helper()
	p := &polled{rig: newRig(t, one), looks: make(chan struct{})}
	p.configMap = newConfigMap(t, "v1", p.version("/hook"))
	p.daemon = p.start(func(o *Options) {
		o.PollEvery = 10 * time.Millisecond
		o.Load = func() (*config.Config, hcl.Diagnostics) {
			p.loads.Add(1)
			return config.Load(p.path, config.WithEnv(func(string) (string, bool) { return p.db.URL, true }))
		}
		o.Fingerprint = func() (string, error) {
			select {
			case p.looks <- struct{}{}:
			default:
			}
			return Fingerprint(p.path)
		}
	})
	return p
}

// version is a configuration that sends to the path.
func (p *polled) version(path string) map[string]string {
	p.edit(strings.Replace(one, "/hook", path, 1))
	return map[string]string{"walpost.hcl": p.hcl}
}

// unread checks that the configuration is looked at but not read.
func (p *polled) unread() {
	p.rig.t.Helper()
	n := p.loads.Load()
	for range 10 {
		<-p.looks
	}
	if got := p.loads.Load(); got != n {
		p.rig.t.Errorf("read %d times though nothing has changed", got-n)
	}
}

// becomes swaps the configuration and waits for the reload, which is to succeed or not.
func (p *polled) becomes(version string, files map[string]string, ok bool) {
	p.rig.t.Helper()
	at := time.Now()
	p.swap(version, files)
	p.daemon.waitFor(func(s Status) bool { return s.Reload != nil && s.Reload.At.After(at) && (s.Reload.Error == "") == ok })
}

func (p *polled) sendsTo(path string) {
	p.rig.t.Helper()
	p.insert(tagged("1"))
	if got := p.receiver.next(); got.path != path {
		p.rig.t.Errorf("sent to %s, want %s", got.path, path)
	}
}

func TestPollingReloadsWhatChanges(t *testing.T) {
	t.Parallel()
	p := newPolled(t)
	p.unread()
	p.sendsTo("/hook")
	p.becomes("v2", p.version("/moved"), true)
	p.sendsTo("/moved")
	p.becomes("v3", map[string]string{"walpost.hcl": `webhook "hook" {`}, false)
	p.unread() // what is broken is reported once
	p.sendsTo("/moved")
	p.becomes("v4", map[string]string{}, false) // the link leads nowhere
	p.unread()
	p.sendsTo("/moved")
	p.becomes("v5", p.version("/mended"), true)
	p.unread()
	p.sendsTo("/mended")
	if p.daemon.Config().Webhook("hook") == nil {
		t.Error("the running configuration has no webhook")
	}
	p.swap("v6", p.version("/asked"))
	if err := p.daemon.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.sendsTo("/asked")
	p.daemon.mustStop()
	p.receiver.none()
}
