package auth

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/time/rate"
)

const (
	// maxToken bounds a token; those of ServiceAccounts have one or two thousand characters.
	maxToken = 16 << 10
	// maxVerdicts bounds what is allowed, and what is refused, in each of the two memories.
	maxVerdicts = 4096
	// allowedFor is how long an allowance is remembered, and so how long somebody may read who no longer should.
	allowedFor = time.Minute
	// refusedFor is how long a refusal is remembered, and so how long somebody waits who was let in just now.
	refusedFor = 10 * time.Second
	// reviewTimeout bounds one question to the reviewer.
	reviewTimeout = 5 * time.Second
	// reviewRate and reviewBurst bound the questions of all clients together, because the reviewer has other things to do.
	reviewRate  = 50
	reviewBurst = 100
	// maxReviews is how many questions there may be at once.
	maxReviews = 8
)

// Identity is who a token stands for, in the terms of the reviewer. One with a method Subject() string is called so in the log.
type Identity any

// Reviewer knows tokens and what those may do whom they stand for.
type Reviewer interface {
	// Identify returns who a token for the audience stands for. The error matches ErrUnauthenticated when it stands for nobody.
	Identify(ctx context.Context, token, audience string) (Identity, error)
	// Allowed tells whether somebody may read a repository; with an empty name, list all of them.
	Allowed(ctx context.Context, who Identity, repository string) (bool, error)
}

// Tokens lets those read who have a token. It remembers verdicts for a minute at most, never longer than a token lasts, and
// refusals for ten seconds. A client that has failed too often gets no answer about what was not allowed when it asked last.
type Tokens struct {
	reviewer Reviewer
	audience string
	limiter  *Limiter
	metrics  *Metrics
	now      func() time.Time

	identities *memory[identified]
	verdicts   *memory[bool]
	turns      turns
	pace       *rate.Limiter
	slots      chan struct{}
}

// asker is who shows a token: where it comes from, and whom the token says that it stands for.
type asker struct {
	client, subject string
	network         netip.Prefix
}

// identified is what is known about a token: whom it stands for, or that it stands for nobody.
type identified struct {
	who   Identity
	valid bool
}

// NewTokens returns an authorizer for tokens with an audience. The limiter and the metrics may be nil; a nil now is time.Now.
func NewTokens(reviewer Reviewer, audience string, limiter *Limiter, metrics *Metrics, now func() time.Time) *Tokens {
	if now == nil {
		now = time.Now
	}
	return &Tokens{
		reviewer: reviewer, audience: audience, limiter: limiter, metrics: metrics, now: now,
		identities: newMemory[identified](maxVerdicts, reviewTimeout, now),
		verdicts:   newMemory[bool](maxVerdicts, reviewTimeout, now),
		pace:       rate.NewLimiter(reviewRate, reviewBurst),
		slots:      make(chan struct{}, maxReviews),
	}
}

// Authorize implements Authorizer.
func (t *Tokens) Authorize(ctx context.Context, r Request) error {
	token, said, err := t.token(r)
	if err != nil {
		return t.refuse(r.Client, err)
	}
	by := asker{client: r.Client, subject: said.subject, network: network(r.Client)}
	key := memoryKey(sha256.Sum256([]byte(token)))
	known, err := t.identify(ctx, by, key, token, said.expires)
	switch {
	case err != nil:
		return err
	case !known.value.valid:
		return fmt.Errorf("%w: the token is not valid for audience %q, or has ended", ErrUnauthenticated, t.audience)
	}
	if named, ok := known.value.who.(interface{ Subject() string }); ok {
		r.Identify(named.Subject())
	}
	switch {
	case r.Action == Pull && r.Repository == "":
		return nil
	case r.Action == Pull || r.Action == Catalog:
		return t.decide(ctx, r, by, key, known)
	default:
		return fmt.Errorf("%w: tokens are for reading only", ErrDenied)
	}
}

// refuse counts a credential that is wrong at first sight.
func (t *Tokens) refuse(client string, err error) error {
	if _, limited := t.limiter.Reserve(client, ""); limited != nil {
		return limited
	}
	return err
}

func (t *Tokens) identify(ctx context.Context, by asker, key memoryKey, token string, expires time.Time) (answer[identified], error) {
	known, good := t.identities.recall(key)
	if good {
		t.metrics.review(reviewRemembered)
		return known, nil
	}
	return ask(ctx, t, t.identities, by, key, known.value.valid, func(ctx context.Context) (answer[identified], error) {
		who, err := t.reviewer.Identify(ctx, token, t.audience)
		switch {
		case errors.Is(err, ErrUnauthenticated):
			return answer[identified]{until: t.now().Add(refusedFor), refused: true}, nil
		case err != nil:
			return answer[identified]{}, err
		default:
			return answer[identified]{value: identified{who, true}, until: earlier(t.now().Add(allowedFor), expires)}, nil
		}
	})
}

// decide asks whether somebody may read. What is remembered of that ends with what is remembered of the token, so that nobody
// reads for two minutes who should not for one.
func (t *Tokens) decide(ctx context.Context, r Request, by asker, token memoryKey, known answer[identified]) error {
	repository := r.Repository
	if r.Action == Catalog {
		repository = ""
	}
	key := memoryKey(sha256.Sum256(append(token[:], repository...)))
	verdict, err := t.verdict(ctx, by, key, known, repository)
	switch {
	case err != nil:
		return err
	case verdict.value:
		return nil
	case repository == "":
		return fmt.Errorf("%w: the list of all repositories is for those who may list Snapshots in all namespaces", ErrDenied)
	default:
		return fmt.Errorf("%w: it needs to be allowed to get the Snapshot of the repository", ErrDenied)
	}
}

func (t *Tokens) verdict(ctx context.Context, by asker, key memoryKey, known answer[identified], repository string) (answer[bool], error) {
	last, good := t.verdicts.recall(key)
	if good {
		t.metrics.review(reviewRemembered)
		return last, nil
	}
	return ask(ctx, t, t.verdicts, by, key, last.value, func(ctx context.Context) (answer[bool], error) {
		allowed, err := t.reviewer.Allowed(ctx, known.value.who, repository)
		switch {
		case err != nil:
			return answer[bool]{}, err
		case allowed:
			return answer[bool]{value: true, until: earlier(t.now().Add(allowedFor), known.until)}, nil
		default:
			return answer[bool]{until: t.now().Add(refusedFor), refused: true}, nil
		}
	})
}

// ask asks the reviewer and remembers what it says. Who was trusted when they asked last is listened to, however often others
// have failed that look like them.
func ask[V any](ctx context.Context, t *Tokens, m *memory[V], by asker, key memoryKey, trusted bool, question func(context.Context) (answer[V], error)) (answer[V], error) {
	if err := t.limiter.Check(by.client, by.subject); err != nil && !trusted {
		return answer[V]{}, err
	}
	return m.ask(ctx, key, by.network.String(), func(ctx context.Context) (fresh answer[V], err error) {
		done, err := t.turns.take(ctx, by.network)
		if err != nil {
			return fresh, t.unanswered(err)
		}
		defer done()
		giveBack, err := t.limiter.Reserve(by.client, by.subject)
		if err != nil {
			if !trusted {
				return fresh, err
			}
			giveBack = func() {}
		}
		err = t.review(ctx, func() error {
			fresh, err = question(ctx)
			return err
		})
		if err != nil || !fresh.refused {
			giveBack()
		}
		return fresh, err
	})
}

// review asks the reviewer, when it is the turn of this question. Whatever is no verdict means that there is none now.
func (t *Tokens) review(ctx context.Context, question func() error) error {
	err := t.pace.Wait(ctx)
	if err == nil {
		select {
		case t.slots <- struct{}{}:
			defer func() { <-t.slots }()
			err = question()
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if err != nil {
		return t.unanswered(err)
	}
	t.metrics.review(reviewAsked)
	return nil
}

func (t *Tokens) unanswered(err error) error {
	t.metrics.review(reviewFailed)
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// token returns the token of a request, and what it says of itself. That is believed only where it is to its disadvantage; the
// reviewer knows the rest.
func (t *Tokens) token(r Request) (string, tokenClaims, error) {
	token := r.Bearer
	if token == "" {
		token = r.Password
	}
	claims, ok := parseToken(token)
	if !ok {
		return "", tokenClaims{}, fmt.Errorf("%w: this is neither one of the registry nor the token of a ServiceAccount", ErrUnauthenticated)
	}
	if len(claims.audiences) > 0 && !slices.Contains(claims.audiences, t.audience) {
		return "", tokenClaims{}, fmt.Errorf("%w: the token is not for audience %q", ErrUnauthenticated, t.audience)
	}
	return token, claims, nil
}

// tokenClaims are what a token says of itself.
type tokenClaims struct {
	audiences []string
	// subject is whom it says that it stands for, and who says so. It is never empty.
	subject string
	// expires is the zero time for a token that doesn't end.
	expires time.Time
}

// parseToken reads a JSON web token without believing it.
func parseToken(token string) (tokenClaims, bool) {
	parts := strings.SplitN(token, ".", 4)
	if len(token) > maxToken || len(parts) != 3 || slices.Contains(parts, "") {
		return tokenClaims{}, false
	}
	payload, err := encoding.DecodeString(parts[1])
	if err != nil {
		return tokenClaims{}, false
	}
	var said struct {
		Audience json.RawMessage `json:"aud"`
		Expires  float64         `json:"exp"`
		Issuer   string          `json:"iss"`
		Subject  string          `json:"sub"`
	}
	if err := json.Unmarshal(payload, &said); err != nil {
		return tokenClaims{}, false
	}
	claims := tokenClaims{subject: said.Issuer + "\x00" + said.Subject}
	if said.Expires > 0 {
		// What is further away than this never ends for us.
		claims.expires = time.Unix(int64(min(said.Expires, 1<<40)), 0)
	}
	var one string
	switch {
	case len(said.Audience) == 0:
	case json.Unmarshal(said.Audience, &one) == nil:
		claims.audiences = []string{one}
	case json.Unmarshal(said.Audience, &claims.audiences) != nil:
		return tokenClaims{}, false
	}
	return claims, true
}

// earlier returns the earlier of two times; the zero time is none.
func earlier(a, b time.Time) time.Time {
	if b.IsZero() || a.Before(b) {
		return a
	}
	return b
}
