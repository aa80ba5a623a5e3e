//go:build !linux

package loopback

import (
	"fmt"
	"net"
	"os"
)

// Reserve returns an address that was free a moment ago: only Linux lets a program keep one that another listens at.
func Reserve() (string, *os.File, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // a local listener does not block
	if err != nil {
		return "", nil, fmt.Errorf("find a free port: %w", err)
	}
	return listener.Addr().String(), nil, listener.Close()
}
