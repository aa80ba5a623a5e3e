//go:build !linux

package store

import "os"

// diskUsage does not know this system. A full disk is noticed when a write fails.
func diskUsage(string) (usage, bool) { return usage{}, false }

func dropCache(*os.File, int64, int64) {}

func startSync(diskFile) {}
