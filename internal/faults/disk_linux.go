package faults

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
)

// disk is a file system in memory for the ledger's tables, which can be made full.
type disk struct {
	dir      string
	watchdog *exec.Cmd
	hold     io.Closer // the watchdog's standard input
}

const diskSize = 2 << 30 // of which only what is used takes memory

// newDisk mounts one in a folder, which takes root; without, it is nil.
func newDisk(folder string) *disk {
	dir := filepath.Join(folder, "disk")
	if os.Mkdir(dir, 0o755) != nil || syscall.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d", diskSize)) != nil {
		return nil
	}
	d := &disk{dir: dir}
	// The mount goes also when this process is killed.
	d.watchdog = exec.Command("/bin/sh", "-c", `read -r _; umount -l "$1"`, "faults-watchdog", dir)
	d.watchdog.Dir, d.watchdog.SysProcAttr = "/", &syscall.SysProcAttr{Setsid: true}
	var err error
	if d.hold, err = d.watchdog.StdinPipe(); err == nil {
		err = d.watchdog.Start()
	}
	if err != nil {
		_ = syscall.Unmount(dir, syscall.MNT_DETACH) // nobody uses it yet
		return nil
	}
	return d
}

// give makes the folder that of the user whom a process belongs to, and gives its path.
func (d *disk) give(pid int) (string, error) {
	owner, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
	if err != nil {
		return "", err
	}
	stat, ok := owner.Sys().(*syscall.Stat_t)
	if !ok {
		return "", fmt.Errorf("the owner of process %d is not known", pid)
	}
	return d.dir, os.Chown(d.dir, int(stat.Uid), int(stat.Gid))
}

// spare is what a full disk has left, in bytes: less than a page of a table.
const spare = 4 << 10

// fill makes the disk as small as what is on it.
func (d *disk) fill() error {
	var s syscall.Statfs_t
	if err := syscall.Statfs(d.dir, &s); err != nil {
		return fmt.Errorf("look at the ledger's disk: %w", err)
	}
	return d.resize(int64(s.Blocks-s.Bfree)*s.Bsize + spare)
}

// resize sets how many bytes fit.
func (d *disk) resize(size int64) error {
	if err := syscall.Mount("tmpfs", d.dir, "tmpfs", syscall.MS_REMOUNT, fmt.Sprintf("size=%d", size)); err != nil {
		return fmt.Errorf("resize the ledger's disk: %w", err)
	}
	return nil
}

// remove unmounts it. Postgres must have stopped.
func (d *disk) remove() {
	if d == nil {
		return
	}
	_ = d.hold.Close()    // the watchdog unmounts
	_ = d.watchdog.Wait() // and is gone
}
