// Package auth decides who may do what with the embedded registry.
//
// The handler asks an Authorizer. Issuer is the one of the embedded registry: it hands out
// credentials that carry their own scope and end, sealed with a key, so that nothing has to be
// stored and every replica with the key can check them. Tokens leaves the decision to somebody who
// knows other credentials, and remembers it for a while. Guard takes either, and bounds how often
// a client may be wrong.
package auth

import (
	"context"
	"errors"
)

// Errors of an Authorizer. They are matched with errors.Is; any other error means that no
// decision could be made.
var (
	// ErrUnauthenticated says that there is no valid credential: another one may do.
	ErrUnauthenticated = errors.New("a valid credential is needed")
	// ErrDenied says that the credential is valid and does not allow it.
	ErrDenied = errors.New("the credential does not allow this")
	// ErrUnavailable says that whoever knows did not answer: the same question may be answered later.
	ErrUnavailable = errors.New("the credential can't be checked now")
)

// Action is what a client wants to do.
type Action int

const (
	// Pull reads content, tags and referrers. Without a repository it asks whether the credential is valid.
	Pull Action = iota
	// Push writes blobs, manifests and tags.
	Push
	// Delete removes them.
	Delete
	// Catalog lists the repositories.
	Catalog
)

// String returns the name of the action.
func (a Action) String() string {
	switch a {
	case Pull:
		return "pull"
	case Push:
		return "push"
	case Delete:
		return "delete"
	case Catalog:
		return "catalog"
	default:
		return "unknown"
	}
}

// Request is one question to an Authorizer.
type Request struct {
	// Username and Password come from basic authentication.
	Username, Password string
	// Bearer is a bearer token.
	Bearer string
	// Client is the address that the request comes from, with or without a port. It is not taken from what the client says.
	Client string
	// Repository is the name of the repository. It is what the client sent, and may be invalid.
	Repository string
	// Action is what the client wants to do with it.
	Action Action
	// Aside asks what else a client could do whose request was decided on already. It is not counted.
	Aside bool
	// Identified is told who the client is, once that is proven and whatever is decided then; it is for the log, and has no
	// secret in it. It may be nil.
	Identified func(who string)
}

// Identify tells who the client is to whoever wants to know it.
func (r Request) Identify(who string) {
	if r.Identified != nil {
		r.Identified(who)
	}
}

// Anonymous tells whether the client gave no credential at all.
func (r Request) Anonymous() bool { return r.Username == "" && r.Password == "" && r.Bearer == "" }

// Authorizer decides on requests.
type Authorizer interface {
	// Authorize returns nil when the request is allowed.
	Authorize(ctx context.Context, r Request) error
}

// Func is an Authorizer made of a function.
type Func func(ctx context.Context, r Request) error

// Authorize implements Authorizer.
func (f Func) Authorize(ctx context.Context, r Request) error { return f(ctx, r) }

// AllowAll lets everybody do everything. It is for tests and for registries that nobody else can reach.
func AllowAll() Authorizer {
	return Func(func(context.Context, Request) error { return nil })
}

// DenyAll lets nobody do anything.
func DenyAll() Authorizer {
	return Func(func(context.Context, Request) error { return ErrUnauthenticated })
}
