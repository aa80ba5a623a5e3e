package loopback

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
)

// Reserve returns an address of loopback that nobody gets who asks for any, as long as the file is open: a socket is bound to it,
// and does not listen. Whoever names the address may listen there, again and again; while nobody does, connections are refused.
func Reserve() (string, *os.File, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return "", nil, fmt.Errorf("reserve a port: %w", os.NewSyscallError("socket", err))
	}
	socket := os.NewFile(uintptr(fd), "reserved port")
	loopback := [4]byte{127, 0, 0, 1}
	if err := errors.Join(
		os.NewSyscallError("setsockopt", syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_REUSEADDR, 1)),
		os.NewSyscallError("bind", syscall.Bind(fd, &syscall.SockaddrInet4{Addr: loopback})),
	); err != nil {
		return "", nil, errors.Join(fmt.Errorf("reserve a port: %w", err), socket.Close())
	}
	bound, err := syscall.Getsockname(fd)
	at, ok := bound.(*syscall.SockaddrInet4)
	if err != nil || !ok {
		return "", nil, errors.Join(fmt.Errorf("reserve a port: it is bound to %v: %w", bound, err), socket.Close())
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(at.Port)), socket, nil
}
