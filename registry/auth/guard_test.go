package auth_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/ocm-operator/ocm-operator/registry/auth"
)

// guard returns a guard over an issuer and the time it lives in.
func guard(t testing.TB) (*auth.Guard, *time.Time) {
	t.Helper()
	i, now := issuer(t)
	return &auth.Guard{Issuer: i, Limiter: auth.NewLimiter(func() time.Time { return *now }), Metrics: auth.NewMetrics()}, now
}

func limited(err error) bool {
	_, ok := errors.AsType[*auth.LimitedError](err)
	return ok
}

func TestAnonymousPull(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		r       auth.Request
		allowed bool
		want    error
	}{
		"pull":            {auth.Request{Action: auth.Pull, Repository: "a"}, true, nil},
		"pull, not let":   {auth.Request{Action: auth.Pull, Repository: "a"}, false, auth.ErrUnauthenticated},
		"push":            {auth.Request{Action: auth.Push, Repository: "a"}, true, auth.ErrUnauthenticated},
		"catalog":         {auth.Request{Action: auth.Catalog}, true, auth.ErrUnauthenticated},
		"with a password": {auth.Request{Action: auth.Pull, Repository: "a", Username: "u", Password: "p"}, true, auth.ErrUnauthenticated},
	} {
		g, _ := guard(t)
		g.Anonymous = c.allowed
		for range 100 {
			if err := g.Authorize(t.Context(), c.r); !errors.Is(err, c.want) && !limited(err) || limited(err) && c.r.Anonymous() {
				t.Errorf("%s: got %v, want %v", name, err, c.want)
				break
			}
		}
	}
}

// TestFailuresAreLimited: one address can't guess for long, others don't notice, and a credential that is good always is.
func TestFailuresAreLimited(t *testing.T) {
	t.Parallel()
	g, now := guard(t)
	good := issue(t, g.Issuer, auth.Scope{Prefix: "team/"})
	ask := func(client, username, password string) error {
		return g.Authorize(t.Context(), auth.Request{Username: username, Password: password, Repository: "team/app", Client: client})
	}
	failures := 0
	var last error
	for ; failures < 1000; failures++ {
		if last = ask("10.0.0.1:1234", good.Username, "guess"); limited(last) {
			break
		}
		if !errors.Is(last, auth.ErrUnauthenticated) {
			t.Fatalf("guess %d: %v", failures, last)
		}
	}
	if failures < 10 || failures > 100 {
		t.Errorf("limited after %d failures", failures)
	}
	again, _ := errors.AsType[*auth.LimitedError](last)
	if again.After < time.Second || again.After > time.Minute {
		t.Errorf("try again after %s", again.After)
	}
	for name, err := range map[string]error{
		"other kind of credential": ask("10.0.0.1:1", "developer", "guess"),
		"other port":               ask("10.0.0.1:1", good.Username, "guess"),
		"without a port":           ask("10.0.0.1", good.Username, "guess"),
		"mapped":                   ask("[::ffff:10.0.0.1]:77", good.Username, "guess"),
	} {
		if !limited(err) {
			t.Errorf("%s: got %v, want that it is the same client", name, err)
		}
	}
	if err := ask("10.0.0.1:1234", good.Username, good.Password); err != nil {
		t.Errorf("a good credential is refused: %v", err)
	}
	if err := ask("10.0.0.2:1234", good.Username, "guess"); !errors.Is(err, auth.ErrUnauthenticated) {
		t.Errorf("a neighbour: %v", err)
	}
	*now = now.Add(again.After)
	if err := ask("10.0.0.1:1234", good.Username, "guess"); !errors.Is(err, auth.ErrUnauthenticated) {
		t.Errorf("after %s: %v", again.After, err)
	}
}

// fail lets a client be wrong.
func fail(l *auth.Limiter, address string, times int) {
	for range times {
		_, _ = l.Reserve(address, "")
	}
}

// TestReservations: no more questions are on their way than there may be failures, and who was right has lost nothing.
func TestReservations(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	l := auth.NewLimiter(func() time.Time { return now })
	for round := range 100 {
		var back []func()
		for {
			giveBack, err := l.Reserve("10.0.0.1:1", "alice")
			if err != nil {
				break
			}
			back = append(back, giveBack)
		}
		if len(back) < 10 || len(back) > 100 {
			t.Fatalf("round %d: %d reservations", round, len(back))
		}
		for _, giveBack := range back {
			giveBack()
		}
		if err := l.Check("10.0.0.1:1", "alice"); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
	}
}

// TestOneAddressOfMany: tokens of others that fail behind the same address, and passwords, lock nobody out; all together are
// bounded still.
func TestOneAddressOfMany(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	l := auth.NewLimiter(func() time.Time { return now })
	fail(l, "10.0.0.1:1", 1000)
	for range 1000 {
		_, _ = l.Reserve("10.0.0.1:2", "mallory")
	}
	if l.Check("10.0.0.1:3", "") == nil || l.Check("10.0.0.1:3", "mallory") == nil {
		t.Error("who fails is not limited")
	}
	if err := l.Check("10.0.0.1:3", "alice"); err != nil {
		t.Errorf("a neighbour: %v", err)
	}
	reserved := 0
	for i := range 10_000 {
		if _, err := l.Reserve("10.0.0.1:4", fmt.Sprint("name ", i)); err == nil {
			reserved++
		}
	}
	if reserved < 100 || reserved > 300 {
		t.Errorf("ten thousand names of one address failed %d times", reserved)
	}
	if l.Check("10.0.0.1:5", "alice") == nil || l.Check("10.0.0.2:5", "alice") != nil {
		t.Error("the bound of the address is none, or one of all addresses")
	}
}

// TestQuestionsAside are decided like others, and not counted.
func TestQuestionsAside(t *testing.T) {
	t.Parallel()
	g, _ := guard(t)
	good := issue(t, g.Issuer, auth.Scope{Prefix: "team/"})
	r := auth.Request{Username: good.Username, Password: good.Password, Repository: "team/app", Action: auth.Push, Aside: true}
	if err := g.Authorize(t.Context(), r); !errors.Is(err, auth.ErrDenied) {
		t.Errorf("got %v", err)
	}
	if counted := testutil.CollectAndCount(g.Metrics, "ocm_registry_auth_total"); counted != 0 {
		t.Errorf("%d kinds of decisions are counted", counted)
	}
}

func TestClientsOfOneNetwork(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		failing, other string
		same           bool
	}{
		"one IPv6 network":    {"[2001:db8:0:1::1]:1", "[2001:db8:0:1:ffff::2]:2", true},
		"another one":         {"[2001:db8:0:1::1]:1", "[2001:db8:0:2::1]:1", false},
		"zones of one link":   {"[fe80::1%eth0]:1", "[fe80::1%eth1]:1", true},
		"IPv4 is looked at":   {"192.0.2.1:1", "192.0.2.2:1", false},
		"IPv4 in IPv6":        {"192.0.2.1:1", "[::ffff:192.0.2.1]:1", true},
		"unreadable are one":  {"pipe", "@", true},
		"readable isn't that": {"pipe", "192.0.2.1:1", false},
	} {
		l := auth.NewLimiter(nil)
		fail(l, c.failing, 1000)
		if got := l.Check(c.other, "") != nil; got != c.same {
			t.Errorf("%s: limited is %t", name, got)
		}
	}
}

// TestLimiterIsBounded lets a million addresses fail; one that goes on failing is still known.
func TestLimiterIsBounded(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	l := auth.NewLimiter(func() time.Time { return now })
	for i := range 20_000 {
		fail(l, "203.0.113.9:1", 1)
		fail(l, fmt.Sprintf("[2001:db8:%x:%x::1]:1", i>>16, i&0xffff), 1)
	}
	if l.Check("203.0.113.9:1", "") == nil {
		t.Error("who fails all the time was forgotten")
	}
	fail(l, "203.0.113.10:1", 100)
	for i := range 5000 {
		fail(l, fmt.Sprintf("[2001:db8:%x::1]:1", i), 1)
	}
	if l.Check("203.0.113.10:1", "") != nil {
		t.Error("who failed before 5000 others is still remembered")
	}
}

func TestNoLimiter(t *testing.T) {
	t.Parallel()
	i, _ := issuer(t)
	g := &auth.Guard{Issuer: i}
	for range 100 {
		if err := g.Authorize(t.Context(), auth.Request{Username: "u", Password: "p"}); !errors.Is(err, auth.ErrUnauthenticated) {
			t.Fatal(err)
		}
	}
}

// TestReloadOfKeys: a credential of a replica that has a newer key is good at once, and one of nobody's costs a look that is
// limited.
func TestReloadOfKeys(t *testing.T) {
	t.Parallel()
	g, now := guard(t)
	reloads := 0
	fault := errors.New("no answer")
	g.Reload = func(context.Context) error {
		reloads++
		if fault != nil {
			return fault
		}
		return g.Issuer.SetKeys(key(2), key(1))
	}
	other, err := auth.NewIssuer(key(2), func() time.Time { return *now })
	if err != nil {
		t.Fatal(err)
	}
	fresh := issue(t, other, auth.Scope{Prefix: "team/"})
	r := auth.Request{Username: fresh.Username, Password: fresh.Password, Repository: "team/app"}
	if err := g.Authorize(t.Context(), r); !errors.Is(err, auth.ErrUnavailable) || errors.Is(err, auth.ErrUnauthenticated) {
		t.Errorf("the key can't be read: got %v", err)
	}
	fault = nil
	if err := g.Authorize(t.Context(), r); err != nil {
		t.Errorf("after the reload: %v", err)
	}
	before := reloads
	if err := g.Authorize(t.Context(), r); err != nil || reloads != before {
		t.Errorf("a known key: %v, %d reloads", err, reloads-before)
	}
	foreign, err := auth.NewIssuer(key(9), func() time.Time { return *now })
	if err != nil {
		t.Fatal(err)
	}
	stranger := issue(t, foreign, auth.Scope{Push: true})
	for range 1000 {
		if err := g.Authorize(t.Context(), auth.Request{Username: stranger.Username, Password: stranger.Password}); err == nil {
			t.Fatal("a stranger's credential is good")
		}
	}
	if asked := reloads - before; asked == 0 || asked > 100 {
		t.Errorf("the key was read %d times for a thousand of a stranger's credentials", asked)
	}
}

func TestCurrent(t *testing.T) {
	t.Parallel()
	i, now := issuer(t)
	request := func(c auth.Credential) auth.Request {
		return auth.Request{Username: c.Username, Password: c.Password, Repository: "team/app"}
	}
	old := issue(t, i, auth.Scope{Prefix: "team/"})
	if !i.Current(request(old)) {
		t.Error("a fresh one isn't current")
	}
	if err := i.SetKeys(key(2), key(1)); err != nil {
		t.Fatal(err)
	}
	if i.Current(request(old)) || i.Authorize(t.Context(), request(old)) != nil {
		t.Error("one that is sealed with the key before is good, but not current")
	}
	fresh := issue(t, i, auth.Scope{Prefix: "team/"})
	wrong, elsewhere, ended := request(fresh), request(fresh), request(fresh)
	wrong.Password, elsewhere.Repository = old.Password, "other/app"
	*now = now.Add(2 * time.Hour)
	for name, r := range map[string]auth.Request{"wrong": wrong, "for another repository": elsewhere, "ended": ended, "none": {}} {
		if i.Current(r) {
			t.Errorf("%s is current", name)
		}
	}
}

func TestDecisionsAreCounted(t *testing.T) {
	t.Parallel()
	g, _ := guard(t)
	good := issue(t, g.Issuer, auth.Scope{Prefix: "team/"})
	sealed := auth.Request{Username: good.Username, Password: good.Password, Repository: "team/app", Client: "10.0.0.1:1"}
	foreign, wrong := sealed, sealed
	foreign.Repository, wrong.Password = "other/app", "guess"
	for _, r := range []auth.Request{sealed, foreign, wrong, {}, {Username: "u", Password: "p"}} {
		_ = g.Authorize(t.Context(), r)
	}
	for range 100 {
		wrong.Client = "10.0.0.2:1"
		_ = g.Authorize(t.Context(), wrong)
	}
	g.Reload = func(context.Context) error { return errors.New("no answer") }
	unknown := sealed
	unknown.Username = strings.Replace(good.Username, ".", ".0", 1)
	_ = g.Authorize(t.Context(), unknown)
	want := `
# HELP ocm_registry_auth_total Decisions on requests, by the kind of credential and what came of it.
# TYPE ocm_registry_auth_total counter
ocm_registry_auth_total{method="anonymous",result="unauthenticated"} 1
ocm_registry_auth_total{method="sealed",result="allowed"} 1
ocm_registry_auth_total{method="sealed",result="denied"} 1
ocm_registry_auth_total{method="sealed",result="limited"} 80
ocm_registry_auth_total{method="sealed",result="unauthenticated"} 21
ocm_registry_auth_total{method="sealed",result="unavailable"} 1
ocm_registry_auth_total{method="token",result="unauthenticated"} 1
`
	if err := testutil.CollectAndCompare(g.Metrics, strings.NewReader(want), "ocm_registry_auth_total"); err != nil {
		t.Error(err)
	}
}
