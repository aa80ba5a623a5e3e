package auth

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// Guard decides by whatever credential a client has: one that the registry has sealed, or a token.
//
// A sealed credential that is valid passes always, however often the client or its neighbours have failed: the check costs
// nothing, so nobody can lock those out who have one.
type Guard struct {
	// Issuer checks sealed credentials.
	Issuer *Issuer
	// Reload reads the keys of the issuer again. It is called for credentials that are sealed with another key: another replica
	// may have changed it just now. It may be nil.
	Reload func(ctx context.Context) error
	// Tokens decides on every other credential; nil refuses them.
	Tokens Authorizer
	// Anonymous lets clients without a credential pull. A client that gives a credential has to give a valid one.
	Anonymous bool
	// Limiter bounds failures; nil doesn't.
	Limiter *Limiter
	// Metrics counts decisions; nil doesn't.
	Metrics *Metrics
}

// Authorize implements Authorizer.
func (g *Guard) Authorize(ctx context.Context, r Request) error {
	switch {
	case r.Anonymous():
		var err error
		if !g.Anonymous || r.Action != Pull {
			err = ErrUnauthenticated
		}
		return g.decided(r, methodAnonymous, err)
	case strings.HasPrefix(r.Username, version+"."):
		return g.decided(r, methodSealed, g.sealed(ctx, r))
	case g.Tokens == nil:
		return g.decided(r, methodToken, g.refuse(r, fmt.Errorf("%w: this is none of the registry", ErrUnauthenticated)))
	default:
		return g.decided(r, methodToken, g.Tokens.Authorize(ctx, r))
	}
}

func (g *Guard) decided(r Request, method string, err error) error {
	if !r.Aside {
		g.Metrics.decision(method, err)
	}
	return err
}

func (g *Guard) sealed(ctx context.Context, r Request) error {
	err := g.Issuer.Authorize(ctx, r)
	if !errors.Is(err, ErrUnauthenticated) {
		return err
	}
	if g.Reload != nil && errors.Is(err, errUnknownKey) {
		if limited := g.Limiter.Check(r.Client, ""); limited != nil {
			return limited
		}
		if bad := g.Reload(ctx); bad != nil {
			return fmt.Errorf("%w: %w", ErrUnavailable, bad)
		}
		err = g.Issuer.Authorize(ctx, r)
	}
	if errors.Is(err, ErrUnauthenticated) {
		return g.refuse(r, err)
	}
	return err
}

// refuse counts a failure, and says nothing of the credential of a client that has failed too often.
func (g *Guard) refuse(r Request, err error) error {
	if _, limited := g.Limiter.Reserve(r.Client, ""); limited != nil {
		return limited
	}
	return err
}
