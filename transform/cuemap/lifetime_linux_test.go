package cuemap_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ocm-operator/ocm-operator/transform/cuemap"
)

// asOperator is the environment variable that makes the test program an operator whose evaluations never end. Its value is
// the program that it starts.
const asOperator = "CUEMAP_TEST_OPERATOR"

// operate is what the test program does then.
func operate(program string) error {
	r, err := cuemap.NewRunner(cuemap.Options{Program: program, Timeout: time.Hour})
	if err != nil {
		return err
	}
	_, err = r.Evaluate(context.Background(), `out: "1"`, nil)
	return err
}

// endless writes a program that says in the file which process it is and then goes on for an hour. Once the file is there
// it answers at once.
func endless(t *testing.T) (program, file string) {
	t.Helper()
	program, file = filepath.Join(t.TempDir(), "endless"), filepath.Join(t.TempDir(), "pid")
	script := fmt.Sprintf("#!/bin/sh\n[ -e %[1]s ] && echo '{\"out\": \"MQ==\"}' && exit\necho $$ > %[1]s.new && mv %[1]s.new %[1]s\nexec sleep 3600\n", file)
	if err := os.WriteFile(program, []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	return program, file
}

func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick, deadline := time.NewTicker(10*time.Millisecond), time.After(time.Minute)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("it did not happen that %s", what)
		}
	}
}

// started waits until the process runs and returns what tells whether it still does.
func started(t *testing.T, file string) (runs func() bool) {
	t.Helper()
	var pid string
	eventually(t, "the evaluation began", func() bool {
		content, err := os.ReadFile(file)
		pid = strings.TrimSpace(string(content))
		return err == nil
	})
	return func() bool {
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if err != nil {
			return false
		}
		_, state, _ := strings.Cut(string(stat), ") ")
		return !strings.HasPrefix(state, "Z") // one that ended and whose new parent has not noticed
	}
}

// TestNothingOutlivesTheOperator kills a process that evaluates as nobody can prepare for.
func TestNothingOutlivesTheOperator(t *testing.T) {
	t.Parallel()
	program, file := endless(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	operator := exec.CommandContext(t.Context(), self)
	operator.Env = append(os.Environ(), asOperator+"="+program)
	if err := operator.Start(); err != nil {
		t.Fatal(err)
	}
	runs := started(t, file)
	if err := operator.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := operator.Wait(); err == nil {
		t.Error("the operator ended by itself")
	}
	eventually(t, "the evaluation ended with the operator", func() bool { return !runs() })
}

// TestNothingOutlivesItsContext shows that an evaluation that nobody waits for any more is ended, and makes room.
func TestNothingOutlivesItsContext(t *testing.T) {
	t.Parallel()
	program, file := endless(t)
	r := runner(t, cuemap.Options{Program: program, Timeout: time.Hour})
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := r.Evaluate(ctx, `out: "1"`, nil)
		done <- err
	}()
	runs := started(t, file)
	late, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := r.Evaluate(late, `out: "1"`, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a second evaluation ran beside the first: %v", err)
	}
	stop()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("want context.Canceled, got %v", err)
	}
	eventually(t, "the evaluation ended with its context", func() bool { return !runs() })
	if value, err := r.Evaluate(t.Context(), `out: "1"`, nil); err != nil || fmt.Sprint(value) != "1" {
		t.Errorf("the next evaluation gave %v, %v", value, err)
	}
}
