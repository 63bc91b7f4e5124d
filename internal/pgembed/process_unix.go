//go:build unix && !linux

package pgembed

import "syscall"

// dieWithParent does nothing: only Linux has a parent-death signal. The watchdog
// stops Postgres everywhere.
func dieWithParent(*syscall.SysProcAttr) {}
