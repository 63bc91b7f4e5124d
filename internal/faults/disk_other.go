//go:build unix && !linux

package faults

import "errors"

// disk is a file system for the ledger's tables, which can be made full; only Linux has one.
type disk struct{}

const diskSize = 0

func newDisk(string) *disk { return nil }

var errNoDisk = errors.New("the ledger has no disk of its own on this system")

func (*disk) give(int) (string, error) { return "", errNoDisk }
func (*disk) fill() error              { return errNoDisk }
func (*disk) resize(int64) error       { return errNoDisk }
func (*disk) remove()                  {}
