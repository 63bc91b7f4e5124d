//go:build unix

package pgembed

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
	"github.com/rs/zerolog"
)

// releases are the builds that are downloaded, by major version.
var releases = map[int]embeddedpostgres.PostgresVersion{
	14: embeddedpostgres.V14,
	15: embeddedpostgres.V15,
	16: embeddedpostgres.V16,
	17: embeddedpostgres.V17,
	18: embeddedpostgres.V18,
}

// newest is the major version that is downloaded when any will do.
const newest = 18

// download fetches Postgres's programs into the cache, once per version.
func download(ctx context.Context, cache string, major int, mirror string, log zerolog.Logger) (binaries, error) {
	release, ok := releases[cmp.Or(major, newest)]
	if !ok {
		return binaries{}, noPostgres(major, fmt.Errorf("there is no download of version %d", major))
	}
	dir := filepath.Join(cache, "postgres-"+string(release))
	if found, err := inspect(ctx, filepath.Join(dir, "bin")); err == nil {
		return found, nil
	}
	log.Info().Str("version", string(release)).Str("dir", dir).Msg("downloading postgres")
	if err := fetch(ctx, release, mirror, dir); err != nil {
		return binaries{}, noPostgres(major, err)
	}
	found, err := inspect(ctx, filepath.Join(dir, "bin"))
	if err != nil {
		return binaries{}, noPostgres(major, err)
	}
	return found, nil
}

// noPostgres is the last word when nothing is found and nothing can be downloaded.
func noPostgres(major int, err error) error {
	what := "Postgres"
	if major != 0 {
		what = fmt.Sprintf("Postgres %d", major)
	}
	return &SetupError{
		Problem: fmt.Sprintf("no %s server is found on this machine, and none can be downloaded", what),
		Fix: "install Postgres (apt install postgresql, brew install postgresql@17), " +
			"or set " + BinEnv + " to the folder with the programs postgres and initdb",
		Err: err,
	}
}

// cacheDir is where downloads are kept. Root's is outside its home, which the user that
// Postgres runs as cannot enter.
func cacheDir() (string, error) {
	if os.Geteuid() == 0 {
		return "/var/cache/walpost", nil
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("find the cache folder: %w", err)
	}
	return filepath.Join(dir, "walpost"), nil
}

// fetch downloads and unpacks a release with embedded-postgres, in a folder that is
// renamed when it is complete.
//
// The library offers no download alone, and its own start refuses root and ignores
// contexts. So its Start is led as far as the unpacking, and then to a data directory that
// cannot be made: a path below a file.
func fetch(ctx context.Context, release embeddedpostgres.PostgresVersion, mirror, dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return fmt.Errorf("make the cache folder: %w", err)
	}
	work, err := os.MkdirTemp(filepath.Dir(dir), ".download-")
	if err != nil {
		return fmt.Errorf("make a folder for the download: %w", err)
	}
	defer func() { _ = os.RemoveAll(work) }()
	wall := filepath.Join(work, "wall")
	if err := os.WriteFile(wall, nil, 0o600); err != nil {
		return fmt.Errorf("prepare the download: %w", err)
	}
	port, err := freePort()
	if err != nil {
		return err
	}
	config := embeddedpostgres.DefaultConfig().
		Version(release).
		Port(uint32(port)).
		CachePath(filepath.Join(work, "archive")).
		BinariesPath(filepath.Join(work, "unpacked")).
		RuntimePath(filepath.Join(work, "runtime")).
		DataPath(filepath.Join(wall, "data")).
		Logger(io.Discard)
	if mirror != "" {
		config = config.BinaryRepositoryURL(mirror)
	}
	var outcome error
	ended := make(chan struct{})
	go func() {
		outcome = embeddedpostgres.NewDatabase(config).Start()
		close(ended)
	}()
	select {
	case <-ended:
	case <-ctx.Done():
		go func() { // if this process lives on
			<-ended
			_ = os.RemoveAll(work)
		}()
		return fmt.Errorf("download postgres: %w", ctx.Err())
	}
	if _, missing := os.Stat(filepath.Join(work, "unpacked", "bin", "initdb")); missing != nil {
		return fmt.Errorf("download postgres: %w", errors.Join(outcome, missing))
	}
	if err := os.Chmod(filepath.Join(work, "unpacked"), 0o755); err != nil {
		return fmt.Errorf("open the download to all users: %w", err)
	}
	err = os.Rename(filepath.Join(work, "unpacked"), dir)
	if err != nil && !errors.Is(err, fs.ErrExist) { // another process was faster
		return fmt.Errorf("keep the download: %w", err)
	}
	return nil
}
