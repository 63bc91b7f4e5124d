//go:build unix

package pgembed

import (
	"fmt"
	"os"
	"path/filepath"
)

// makeDir makes the server's folder, owned by the account that the server runs as.
func makeDir(dir string, as *account) (string, error) {
	var err error
	if dir == "" {
		parent := os.TempDir()
		if !as.reaches(parent) {
			parent = "/tmp" // TMPDIR is root's own
		}
		if dir, err = os.MkdirTemp(parent, "walpost-postgres-"); err != nil {
			return "", fmt.Errorf("make a folder for postgres: %w", err)
		}
		return dir, as.give(dir)
	}
	if dir, err = filepath.Abs(dir); err != nil {
		return "", fmt.Errorf("find the folder for postgres: %w", err)
	}
	if !as.reaches(filepath.Dir(dir)) {
		return "", &SetupError{
			Problem: fmt.Sprintf("Postgres, which must not run as root, cannot use %s: user id %d cannot enter a folder above it", dir, as.uid),
			Fix:     "name a folder below /tmp or /var/tmp, or run as another user than root",
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		if entries, readErr := os.ReadDir(dir); readErr != nil || len(entries) > 0 {
			return "", &SetupError{
				Problem: fmt.Sprintf("%s cannot be made for Postgres", dir),
				Fix:     "name a folder that does not exist yet, in one that does: it is removed when Postgres stops",
				Err:     err,
			}
		}
	}
	return dir, as.give(dir)
}
