package forge

import (
	"errors"
	"fmt"
	"time"
)

// What a forge can have against a request. They are found with errors.Is; the error they are found in is a *ResponseError with what the forge said.
var (
	// ErrUnauthorized says that the forge does not know the token.
	ErrUnauthorized = errors.New("the forge does not accept the token: check that it is complete, not expired and not revoked")
	// ErrForbidden says that the token has not the rights that are needed.
	ErrForbidden = errors.New("the token may not do this: give it the right to read and write pull requests of the repository")
	// ErrNotFound says that the repository, the branch or the request is missing, or that the token may not see it.
	ErrNotFound = errors.New("not found: check the address of the repository, and that the token may see it")
	// ErrExists says that there is an open request for these branches.
	ErrExists = errors.New("there is an open pull request for this branch already")
	// ErrNoChanges says that the base branch has everything that would be proposed.
	ErrNoChanges = errors.New("there is nothing to propose: the base branch has all commits of the branch")
)

// RateLimitedError says that the forge wants to be left alone for a while.
type RateLimitedError struct {
	// Until is when it may be asked again; it is later than now and at most some hours away.
	Until time.Time
	// Message is what the forge said.
	Message string
}

// Error implements error. It names no time, so that it is stable.
func (e *RateLimitedError) Error() string {
	return fmt.Sprintf("the forge limits how often it is asked: %s", e.Message)
}

// ResponseError is an answer that is not the one that was asked for.
type ResponseError struct {
	// Status is the status code.
	Status int
	// Message is what the forge said, at most 512 bytes, printable and without the token.
	Message string
	// kind is one of the errors of this package, or nil.
	kind error
}

// Error implements error.
func (e *ResponseError) Error() string {
	switch {
	case e.kind != nil && e.Message != "":
		return fmt.Sprintf("%v (status %d: %s)", e.kind, e.Status, e.Message)
	case e.kind != nil:
		return fmt.Sprintf("%v (status %d)", e.kind, e.Status)
	case e.Message != "":
		return fmt.Sprintf("status %d: %s", e.Status, e.Message)
	}
	return fmt.Sprintf("status %d", e.Status)
}

// Unwrap returns which error of this package it is, if any.
func (e *ResponseError) Unwrap() error { return e.kind }

// RedirectError says that the forge sent us elsewhere and that we did not go: the host is another one, or the request changes something.
type RedirectError struct {
	// From is the address that was asked, and To the one that the forge names, both without a query.
	From, To string
}

// Error implements error.
func (e *RedirectError) Error() string {
	return fmt.Sprintf("%s has moved to %s: if that is right, set repository.url or repository.apiURL to the new address; the token was not sent there", e.From, e.To)
}

// TooLargeError says that an answer is larger than what is read.
type TooLargeError struct {
	// What has the limit, and Limit is its value.
	What  string
	Limit int64
}

// Error implements error.
func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the forge sent more than expected: %s of an answer is limited to %d", e.What, e.Limit)
}
