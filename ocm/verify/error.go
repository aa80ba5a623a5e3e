package verify

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/ocm-operator/ocm-operator/ocm/access"
	"github.com/ocm-operator/ocm-operator/ocm/descriptor"
	"github.com/ocm-operator/ocm-operator/ocm/oci"
)

// ErrRefused is matched by every verdict against a component version. Other
// errors say that something could not be read, and may pass.
var ErrRefused = errors.New("component version is refused")

// Error is a verdict against a component version. It matches ErrRefused.
type Error struct {
	// Path leads from the root to the component version at fault, each as
	// name:version.
	Path []string
	// Element is the resource or reference at fault, such as "resource
	// config:1.0.0"; it is empty if it is the component version itself, or one of
	// its signatures.
	Element string
	// Err says what is wrong.
	Err error
	// Lasting tells that the same manifest is refused for ever with the same
	// requests: neither content, nor what a tag leads to, nor time can change it.
	Lasting bool
}

// Error says where and what.
func (e *Error) Error() string {
	parts := make([]string, 0, 3)
	if len(e.Path) > 0 {
		parts = append(parts, strings.Join(e.Path, " -> "))
	}
	if e.Element != "" {
		parts = append(parts, e.Element)
	}
	return strings.Join(append(parts, e.Err.Error()), ": ")
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is makes the error match ErrRefused.
func (e *Error) Is(target error) bool { return target == ErrRefused }

// answers are errors that say what there is, and not that it could not be read.
var answers = []error{
	oci.ErrNotFound, oci.ErrNotComponent, oci.ErrMalformed, oci.ErrTooLarge, oci.ErrHostRefused,
	access.ErrUnsupported, access.ErrNoDigest,
	descriptor.ErrTooLarge, descriptor.ErrUnknownSchema,
}

// IsAnswer tells errors that say what a repository has, and are a reason to
// refuse, from those that may pass. In doubt it is the latter: a refusal can make
// an older version be taken.
func IsAnswer(err error) bool {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, oci.ErrUnsure) {
		return false
	}
	for _, answer := range answers {
		if errors.Is(err, answer) {
			return true
		}
	}
	_, mismatch := errors.AsType[*oci.DigestMismatchError](err)
	return mismatch
}

// verdict makes a reason to refuse an *Error, and keeps other errors as they are
// but for where they are from.
func verdict(path []string, element string, err error) error {
	e := &Error{Path: path, Element: element, Err: err}
	if IsAnswer(err) {
		return e
	}
	return &passing{message: e.Error(), cause: err}
}

// passing is an error that may pass.
type passing struct {
	message string
	cause   error
}

func (p *passing) Error() string { return p.message }

func (p *passing) Unwrap() error { return p.cause }

// mismatch says how content differs from what was signed.
type mismatch struct {
	what, got, signed string
	cause             error
}

func (m *mismatch) Error() string {
	return fmt.Sprintf("%s has digest %s, signed is %s", m.what, m.got, m.signed)
}

func (m *mismatch) Unwrap() error { return m.cause }
