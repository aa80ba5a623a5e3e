package e2etest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

const (
	// waitTimeout is how long something may take that should happen at once, on a machine that has other things to do.
	waitTimeout = 2 * time.Minute
	waitPoll    = 50 * time.Millisecond
)

// Check tells what is not yet as wanted about an object.
type Check func(obj *unstructured.Unstructured) error

// Wait waits until an object exists and passes all checks, and returns it. The test fails with what the checks said
// last.
func (e *Env) Wait(kind, name string, checks ...Check) *unstructured.Unstructured {
	e.tb.Helper()
	var found *unstructured.Unstructured
	e.Eventually(kind+" "+name, func() error {
		obj, err := e.Lookup(kind, name)
		if err != nil {
			return err
		}
		found = obj
		var errs []error
		for _, check := range checks {
			errs = append(errs, check(obj))
		}
		return errors.Join(errs...)
	})
	return found
}

// Gone waits until an object does not exist.
func (e *Env) Gone(kind, name string) {
	e.tb.Helper()
	e.Eventually(kind+" "+name+" is gone", func() error {
		obj, err := e.Lookup(kind, name)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it is still there (finalizers %v): %w", obj.GetFinalizers(), err)
	})
}

// Eventually waits until a condition returns nil. The test fails with what the condition said last.
func (e *Env) Eventually(what string, condition func() error) {
	e.tb.Helper()
	e.Within(waitTimeout, what, condition)
}

// Within is Eventually for what takes another time.
func (e *Env) Within(longest time.Duration, what string, condition func() error) {
	e.tb.Helper()
	timeout := time.NewTimer(longest)
	defer timeout.Stop()
	ticker := time.NewTicker(waitPoll)
	defer ticker.Stop()
	for {
		err := condition()
		if err == nil {
			return
		}
		select {
		case <-ticker.C:
		case <-timeout.C:
			e.tb.Fatalf("waited %s for %s: %v", longest, what, err)
		case <-e.tb.Context().Done():
			e.tb.Fatalf("test ended while it waited for %s: %v", what, err)
		case <-e.exited():
			e.tb.Fatalf("wait for %s: %v", what, e.Operator.Err())
		}
	}
}

// Pause is the time between two things that a test does by itself, not one that anything is waited for. It ends with the context.
func Pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// Ready wants an object to be ready, with its latest generation.
func Ready(obj *unstructured.Unstructured) error {
	ready, err := Condition(obj, "Ready")
	if err != nil {
		return err
	}
	observed, _, err := unstructured.NestedInt64(obj.Object, "status", "observedGeneration")
	if err != nil {
		return err
	}
	if ready.Status != metav1.ConditionTrue || observed != obj.GetGeneration() {
		return fmt.Errorf("generation %d, observed %d, Ready is %s, %s: %s", obj.GetGeneration(), observed, ready.Status, ready.Reason, ready.Message)
	}
	return nil
}

// NotReady wants an object not to be ready for a reason, and the message to contain each of the parts.
func NotReady(reason string, parts ...string) Check {
	return Is("Ready", metav1.ConditionFalse, reason, parts...)
}

// Is wants a condition to have a status and a reason, and its message to contain each of the parts.
func Is(conditionType string, status metav1.ConditionStatus, reason string, parts ...string) Check {
	return func(obj *unstructured.Unstructured) error {
		got, err := Condition(obj, conditionType)
		if err != nil {
			return err
		}
		if got.Status != status || got.Reason != reason {
			return fmt.Errorf("%s is %s, %s: %s; want %s, %s", conditionType, got.Status, got.Reason, got.Message, status, reason)
		}
		for _, part := range parts {
			if !strings.Contains(got.Message, part) {
				return fmt.Errorf("message of %s is %q, which lacks %q", conditionType, got.Message, part)
			}
		}
		return nil
	}
}

// Field wants a string field to have a value.
func Field(want string, path ...string) Check {
	return func(obj *unstructured.Unstructured) error {
		got, _, err := unstructured.NestedString(obj.Object, path...)
		if err == nil && got != want {
			err = fmt.Errorf("%s is %q, want %q", strings.Join(path, "."), got, want)
		}
		return err
	}
}

// Condition returns a condition of an object, or an error when it has none of that type.
func Condition(obj *unstructured.Unstructured, conditionType string) (*metav1.Condition, error) {
	conditions, _, err := unstructured.NestedSlice(obj.Object, "status", "conditions")
	if err != nil {
		return nil, err
	}
	for _, raw := range conditions {
		fields, _ := raw.(map[string]any)
		if fields["type"] != conditionType {
			continue
		}
		condition := &metav1.Condition{}
		return condition, runtime.DefaultUnstructuredConverter.FromUnstructured(fields, condition)
	}
	return nil, fmt.Errorf("there is no condition %s yet", conditionType)
}
