package process

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"

	"github.com/ocm-operator/ocm-operator/e2e/cluster/internal/filelock"
)

// Ports leases free TCP ports on the loopback interface. The kernel knows which ports are in use, but not which have
// been promised to a program that is only starting; a lock per port keeps clusters that start at the same time
// apart. Programs that know nothing of the locks can still take a port first: see ExitError.PortTaken.
type Ports struct {
	dir    string
	leases []*filelock.Lock
}

// NewPorts returns Ports that share their locks with all processes of this user.
func NewPorts() *Ports {
	return &Ports{dir: filepath.Join(os.TempDir(), "ocm-operator-ports-"+strconv.Itoa(os.Getuid()))}
}

// Lease returns a port that was free a moment ago and that no other Ports has leased.
func (p *Ports) Lease() (int, error) {
	const attempts = 100
	for range attempts {
		port, err := freePort()
		if err != nil {
			return 0, err
		}
		lock, err := filelock.Try(filepath.Join(p.dir, strconv.Itoa(port)))
		if errors.Is(err, filelock.ErrLocked) {
			continue
		}
		if err != nil {
			return 0, fmt.Errorf("lease port %d: %w", port, err)
		}
		p.leases = append(p.leases, lock)
		return port, nil
	}
	return 0, fmt.Errorf("lease a port: %d free ports in a row were leased by others; stop some clusters", attempts)
}

// Release gives all ports back.
func (p *Ports) Release() error {
	var errs []error
	for _, lease := range p.leases {
		errs = append(errs, lease.Remove())
	}
	p.leases = nil
	return errors.Join(errs...)
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	addr, ok := listener.Addr().(*net.TCPAddr)
	if err := listener.Close(); err != nil || !ok {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	return addr.Port, nil
}
