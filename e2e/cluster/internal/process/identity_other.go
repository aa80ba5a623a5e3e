//go:build unix && !linux

package process

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// startTime asks ps(1), as there is no portable system call. Its resolution of a second suffices: process ids are not
// given again that fast.
func startTime(pid int) (string, error) {
	out, err := exec.Command("ps", "-o", "stat=,lstart=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return "", os.ErrProcessDone
	}
	state, started, ok := strings.Cut(strings.TrimSpace(string(out)), " ")
	if !ok {
		return "", fmt.Errorf("unexpected answer of ps: %q", out)
	}
	if strings.HasPrefix(state, "Z") {
		return "", os.ErrProcessDone
	}
	return strings.TrimSpace(started), nil
}

// attributes keeps the terminal's Ctrl-C away from the children. Only Linux can also let them die with their parent;
// elsewhere a killed parent leaves them behind for Down.
func attributes(Command) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
