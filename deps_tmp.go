//go:build deps

package main

import (
	_ "golang.org/x/sys/unix"
	_ "golang.org/x/time/rate"
)
