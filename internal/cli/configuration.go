package cli

import (
	"errors"
	"io/fs"
	"os"

	"github.com/hashicorp/hcl/v2"

	"github.com/walpost/walpost/config"
	"github.com/walpost/walpost/daemon"
)

const (
	configEnv    = "WALPOST_CONFIG"
	configFile   = "walpost.hcl"
	configFolder = "/etc/walpost"
)

// errNoConfig says that no configuration was named and none is where it is looked for.
var errNoConfig = &failure{
	code:    exitConfiguration,
	problem: "there is no configuration: neither " + configFile + " nor " + configFolder + " exists",
	fix:     "walpost init writes one to start from; -c FILE|DIR or $" + configEnv + " names another place",
}

// locate finds the configuration: what -c names, else the environment, else the usual places.
func (a *app) locate() (string, error) {
	if a.configPath != "" {
		return a.configPath, nil
	}
	if path, ok := a.LookupEnv(configEnv); ok && path != "" {
		return path, nil
	}
	for _, path := range []string{configFile, configFolder} {
		_, err := os.Stat(path)
		if err == nil || !errors.Is(err, fs.ErrNotExist) {
			return path, nil // what is there but unreadable is reported when it is read
		}
	}
	return "", errNoConfig
}

// read reads the configuration. Errors among the diagnostics mean that it can't be used.
func (a *app) read() (*config.Config, hcl.Diagnostics, error) {
	path, err := a.locate()
	if err != nil {
		return nil, nil, err
	}
	cfg, diagnostics := config.Load(path, a.env())
	return cfg, diagnostics, nil
}

// load reads the configuration for a command that needs a valid one.
func (a *app) load() (*config.Config, error) {
	cfg, diagnostics, err := a.read()
	if err != nil {
		return nil, err
	}
	if diagnostics.HasErrors() {
		return nil, a.refuse(cfg.Files, diagnostics)
	}
	return cfg, nil
}

// refuse shows what is wrong with a configuration and gives the failure to end with.
func (a *app) refuse(files map[string]*hcl.File, diagnostics hcl.Diagnostics) error {
	if err := config.WriteDiagnostics(a.stderr, files, diagnostics, a.colors()); err != nil {
		return err
	}
	errors, _ := tally(diagnostics)
	return &failure{
		code:    exitConfiguration,
		problem: "the configuration is invalid: " + count(errors, "error"),
		fix:     "correct it, then look again with: walpost check",
	}
}

// invalid turns a daemon's refusal of its configuration into ours; other errors stay.
func (a *app) invalid(err error) error {
	var refused *daemon.ConfigError
	if errors.As(err, &refused) {
		return a.refuse(refused.Files, refused.Diagnostics)
	}
	return err
}

// tally counts the diagnostics of each severity.
func tally(diagnostics hcl.Diagnostics) (errors, warnings int) {
	for _, d := range diagnostics {
		if d.Severity == hcl.DiagError {
			errors++
		} else {
			warnings++
		}
	}
	return errors, warnings
}

// webhookNames are the names of all webhooks of the configuration.
func webhookNames(cfg *config.Config) []string {
	names := make([]string, len(cfg.Webhooks))
	for i, w := range cfg.Webhooks {
		names[i] = w.Name
	}
	return names
}

// mustKnow refuses the name of a webhook that the configuration doesn't have.
func mustKnow(cfg *config.Config, webhook string) error {
	if cfg.Webhook(webhook) != nil {
		return nil
	}
	return usage("walpost status lists the webhooks",
		"the configuration has no webhook %q.%s", webhook, didYouMean(webhook, webhookNames(cfg)))
}
