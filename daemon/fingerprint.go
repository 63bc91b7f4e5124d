package daemon

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Fingerprint is a hash of the configuration at path as config.Load reads it: of a file, or of the names and bytes of
// every *.hcl file of a folder. It reads through links and never looks at times or inodes, so it changes when a Kubernetes
// ConfigMap is swapped for another one with other content, and only then.
func Fingerprint(path string) (string, error) {
	sum := sha256.New()
	names, err := sources(path)
	if err != nil {
		return "", fmt.Errorf("read the configuration: %w", err)
	}
	for _, name := range names {
		content := sha256.New()
		if err := addFile(content, name); err != nil {
			return "", fmt.Errorf("read the configuration: %w", err)
		}
		_, _ = fmt.Fprintf(sum, "%q %x\n", filepath.Base(name), content.Sum(nil)) // a hash takes everything
	}
	return hex.EncodeToString(sum.Sum(nil)), nil
}

// sources are the files that config.Load reads, in its order.
func sources(path string) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil || !info.IsDir() {
		return []string{path}, err
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if name := entry.Name(); !strings.HasPrefix(name, ".") && filepath.Ext(name) == ".hcl" {
			names = append(names, filepath.Join(path, name))
		}
	}
	return names, nil
}

func addFile(w io.Writer, name string) error {
	file, err := os.Open(name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // it was only read
	_, err = io.Copy(w, file)
	return err
}
