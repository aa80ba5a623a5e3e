package secrets

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/time/rate"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/ocm-operator/ocm-operator/reconcilers/source"
)

var secretsResource = schema.GroupResource{Resource: "secrets"}

// server is an API server that has Secrets and ServiceAccounts, and nothing else.
type server struct {
	mu       sync.Mutex
	versions map[client.ObjectKey]int
	accounts map[client.ObjectKey][]string
	// stale are the versions that it remembers, where they are not the current ones.
	stale map[client.ObjectKey]int
	// faults are its answers for some Secrets.
	faults map[client.ObjectKey]error
	// answered is called after each look, if it is set.
	answered func()
	// gets are the Secrets that were asked for, in order; remembered counts those for which any answer was good.
	gets       []string
	remembered int
}

// Get implements client.Reader.
func (s *server) Get(_ context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if account, ok := obj.(*corev1.ServiceAccount); ok {
		for _, name := range s.accounts[key] {
			account.ImagePullSecrets = append(account.ImagePullSecrets, corev1.LocalObjectReference{Name: name})
		}
		return nil
	}
	var options client.GetOptions
	options.ApplyOptions(opts)
	s.gets = append(s.gets, key.Name)
	if s.answered != nil {
		s.answered()
	}
	if err := s.faults[key]; err != nil {
		return err
	}
	version := s.versions[key]
	if options.Raw != nil && options.Raw.ResourceVersion == "0" {
		s.remembered++
		if before, ok := s.stale[key]; ok {
			version = before
		}
	}
	if version == 0 {
		return apierrors.NewNotFound(secretsResource, key.Name)
	}
	obj.SetUID(types.UID(key.Name))
	obj.SetResourceVersion(strconv.Itoa(version))
	return nil
}

// List implements client.Reader: nobody may.
func (*server) List(context.Context, client.ObjectList, ...client.ListOption) error {
	return apierrors.NewForbidden(secretsResource, "", errors.New("nobody lists Secrets"))
}

// asked returns what was asked for since the last time.
func (s *server) asked() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	asked := s.gets
	s.gets, s.remembered = nil, 0
	return asked
}

// bench is a Lookout with a cluster, a clock and the queue of a kind.
type bench struct {
	*Lookout
	t     testing.TB
	api   *server
	clock time.Time
	queue queue
	kinds map[string]handler.EventHandler
}

func newBench(t testing.TB) *bench {
	t.Helper()
	b := &bench{
		t: t, clock: time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC), kinds: map[string]handler.EventHandler{},
		api:   &server{versions: map[client.ObjectKey]int{}, accounts: map[client.ObjectKey][]string{}, stale: map[client.ObjectKey]int{}, faults: map[client.ObjectKey]error{}},
		queue: workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]()),
	}
	t.Cleanup(b.queue.ShutDown)
	lookout, err := New(Options{Live: b.api, PerSecond: 1e6, Log: logr.Discard(), Now: func() time.Time { return b.clock }})
	if err != nil {
		t.Fatal(err)
	}
	b.Lookout = lookout
	b.kinds["Reader"] = lookout.Dependents("Reader", refsOf)
	b.kinds["Keeper"] = lookout.Keepers("Keeper", refsOf)
	return b
}

// refsOf reads the references of an object from its annotations: the key is the kind with a number.
func refsOf(obj client.Object) []source.Ref {
	var refs []source.Ref
	for kind, name := range obj.GetAnnotations() {
		kind, _, _ = strings.Cut(kind, "-")
		refs = append(refs, source.Ref{Kind: kind, Namespace: obj.GetNamespace(), Name: name})
	}
	return refs
}

func key(name string) client.ObjectKey { return client.ObjectKey{Namespace: "default", Name: name} }

// referring returns an object that refers to Secrets.
func referring(name string, secrets ...string) *metav1.PartialObjectMetadata {
	obj := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Annotations: map[string]string{}}}
	for i, secret := range secrets {
		obj.Annotations[fmt.Sprintf("Secret-%d", i)] = secret
	}
	return obj
}

// pulling lets an object refer to a ServiceAccount.
func pulling(obj *metav1.PartialObjectMetadata, name string) *metav1.PartialObjectMetadata {
	obj.Annotations[source.ServiceAccountKind] = name
	return obj
}

func (b *bench) create(kind string, obj client.Object) {
	b.kinds[kind].Create(b.t.Context(), event.CreateEvent{Object: obj}, b.queue)
}

func (b *bench) change(kind string, obj client.Object) {
	b.kinds[kind].Update(b.t.Context(), event.UpdateEvent{ObjectOld: obj, ObjectNew: obj}, b.queue)
}

func (b *bench) remove(kind string, obj client.Object) {
	b.kinds[kind].Delete(b.t.Context(), event.DeleteEvent{Object: obj}, b.queue)
}

// read reads a Secret as a reconciliation does.
func (b *bench) read(name string) {
	b.t.Helper()
	if err := client.IgnoreNotFound(b.Reader(b.api).Get(b.t.Context(), key(name), &corev1.Secret{})); err != nil {
		b.t.Fatal(err)
	}
}

// readAccount reads a ServiceAccount as a reconciliation does.
func (b *bench) readAccount(name string) {
	b.t.Helper()
	if err := b.Reader(b.api).Get(b.t.Context(), key(name), &corev1.ServiceAccount{}); err != nil {
		b.t.Fatal(err)
	}
}

// pass lets an interval pass, looks, and returns what was asked for.
func (b *bench) pass() []string {
	b.api.asked()
	b.clock = b.clock.Add(usualInterval)
	b.round(b.t.Context(), b.clock.Add(usualInterval))
	return b.api.asked()
}

// woken returns who is in the queue, sorted, and takes them out.
func (b *bench) woken() []string {
	names := []string{}
	for b.queue.Len() > 0 {
		request, _ := b.queue.Get()
		names = append(names, request.Name)
		b.queue.Done(request)
	}
	slices.Sort(names)
	return names
}

func (b *bench) wakes(when string, want ...string) {
	b.t.Helper()
	if got := b.woken(); !slices.Equal(got, want) && len(got)+len(want) > 0 {
		b.t.Errorf("%s: woke %v, want %v", when, got, want)
	}
}

// TestChangesWakeWhoRefers changes a Secret in every way. Nobody else is woken, and nobody is when nothing has changed.
func TestChangesWakeWhoRefers(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.create("Reader", referring("one", "a"))
	b.create("Reader", referring("both", "a", "b"))
	b.create("Reader", referring("other", "c"))
	for _, step := range []struct {
		name  string
		do    func()
		woken []string
	}{
		{"first look", func() {}, nil},
		{"second look", func() {}, nil},
		{"created", func() { b.api.versions[key("a")] = 5 }, []string{"both", "one"}},
		{"unchanged", func() {}, nil},
		{"changed", func() { b.api.versions[key("a")] = 7 }, []string{"both", "one"}},
		{"out of date", func() { b.api.stale[key("a")] = 6 }, nil},
		{"gone in the memory of the server", func() { b.api.stale[key("a")] = 0 }, nil},
		{"gone", func() { delete(b.api.versions, key("a")); clear(b.api.stale) }, []string{"both", "one"}},
		{"another", func() { b.api.versions[key("b")] = 9 }, []string{"both"}},
		{"of nobody", func() { b.api.versions[key("d")] = 9 }, nil},
	} {
		step.do()
		b.pass()
		b.wakes(step.name, step.woken...)
	}
}

// TestNothingIsMissedBetweenReadingAndLooking lets a Secret change at every moment around the first look.
func TestNothingIsMissedBetweenReadingAndLooking(t *testing.T) {
	t.Parallel()
	change := func(b *bench) { b.api.versions[key("a")]++ }
	read := func(b *bench) { b.read("a") }
	enter := func(b *bench) { b.create("Reader", referring("one", "a")) }
	again := func(read func(*bench)) func(*bench) {
		return func(b *bench) {
			for range minKept / usualInterval { // so long that nobody would remember the first time
				read(b)
				b.pass()
			}
		}
	}
	account := func(b *bench) { b.api.accounts[key("puller")] = []string{"a"}; b.readAccount("puller") }
	for name, steps := range map[string][]func(*bench){
		"read, entered, changed":         {read, enter, change},
		"read, changed, entered":         {read, change, enter},
		"entered, read, changed":         {enter, read, change},
		"looked, read, changed":          {enter, func(b *bench) { b.pass() }, read, change},
		"read, looked, changed":          {read, enter, func(b *bench) { b.pass() }, change},
		"changed back to another object": {read, change, enter, func(b *bench) { b.change("Reader", referring("one", "b")); b.change("Reader", referring("one", "a")) }},
		"removed and made again":         {read, change, enter, func(b *bench) { b.remove("Reader", referring("one", "a")); enter(b) }},
		"read for long, changed":         {again(read), change, enter},
		"an account read for long":       {again(account), read, change, func(b *bench) { b.create("Reader", pulling(referring("one"), "puller")) }},
	} {
		b := newBench(t)
		b.api.versions[key("a")] = 1
		for _, step := range steps {
			step(b)
		}
		b.wakes(name + ", before the look")
		b.pass()
		b.wakes(name, "one")
		b.pass()
		b.wakes(name + ", again")
	}
}

// TestOthersAreToldByWhoReads: whoever reads first tells all others, and a reading that came too late is done again.
func TestOthersAreToldByWhoReads(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.api.versions[key("a")] = 4
	b.create("Reader", referring("one", "a"))
	b.create("Reader", referring("two", "a"))
	b.read("a")
	b.wakes("first reading")
	b.api.versions[key("a")] = 5
	b.read("a")
	b.wakes("newer", "one", "two")
	b.book.read(key("a"), state{"a", "4"}, b.clock.Add(-time.Second)) // its answer was on its way for long
	b.wakes("older", "one", "two")
	b.pass()
	b.wakes("the newer one is still what is known")
	b.book.read(key("a"), state{"again", "2"}, b.clock)
	b.wakes("made again", "one", "two")
}

// TestRestoredDatabase lets all versions go back, as those of a cluster do that is restored from a backup: that wakes once, whoever notices it,
// and what changes afterwards is noticed as before.
func TestRestoredDatabase(t *testing.T) {
	t.Parallel()
	for name, look := range map[string]func(*bench){
		"by reading": func(b *bench) { b.read("a") },
		"by looking": func(b *bench) { b.pass() },
		"by a watch, and looking": func(b *bench) {
			b.hear(metadataOf("a", b.api.versions[key("a")]))
			b.pass()
		},
	} {
		b := newBench(t)
		b.api.versions[key("a")] = 5000
		b.create("Reader", referring("one", "a"))
		b.read("a")
		b.clock = b.clock.Add(time.Second)
		for _, version := range []int{300, 301} {
			b.api.versions[key("a")] = version
			look(b)
			b.wakes(fmt.Sprintf("%s, version %d", name, version), "one")
			for range 10 {
				b.read("a")
				look(b)
			}
			b.wakes(fmt.Sprintf("%s, version %d again", name, version))
		}
	}
}

// metadataOf is what a watch tells of a Secret.
func metadataOf(name string, version int) *metav1.PartialObjectMetadata {
	found := newMetadata()
	found.SetNamespace("default")
	found.SetName(name)
	found.SetUID(types.UID(name))
	found.SetResourceVersion(strconv.Itoa(version))
	return found
}

// TestLateWatch: what a watch tells after somebody has read something newer is no news, and neither is that a second time.
func TestLateWatch(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.api.versions[key("a")] = 7
	b.create("Reader", referring("one", "a"))
	b.read("a")
	for _, version := range []int{5, 6, 6, 7} {
		b.hear(metadataOf("a", version))
	}
	b.pass()
	b.wakes("what was before")
	b.hear(metadataOf("a", 8))
	b.wakes("a change", "one")
}

// TestPullSecretsOfServiceAccounts follows the Secrets that ServiceAccounts pull with, whose names only a reader knows.
func TestPullSecretsOfServiceAccounts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.api.accounts[key("puller")] = []string{"a", "b", "", "a"}
	b.create("Reader", pulling(referring("one"), "puller"))
	b.create("Reader", pulling(referring("two", "b"), "puller"))
	b.create("Reader", pulling(referring("other"), "else"))
	if asked := b.pass(); !slices.Equal(asked, []string{"b", "b"}) {
		t.Errorf("asked for %v before anybody has read the ServiceAccount", asked)
	}
	b.readAccount("puller")
	b.pass()
	b.api.versions[key("a")], b.api.versions[key("b")] = 1, 1
	b.pass()
	b.wakes("pull Secrets appear", "one", "two")
	b.api.accounts[key("puller")] = []string{"c"}
	b.readAccount("puller")
	b.api.versions[key("a")], b.api.versions[key("b")] = 2, 2
	b.pass()
	b.wakes("only one is referred to still", "two")
	b.pass()
	b.api.versions[key("c")] = 1
	b.pass()
	b.wakes("the new one appears", "one", "two")
}

// TestKeepersAreLeftAlone: who writes a Secret is not woken by that, and looked after rarely.
func TestKeepersAreLeftAlone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.create("Keeper", referring("keeper", "a"))
	written := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "a", UID: "a", ResourceVersion: "3"}}
	write := func() {
		b.read("a")
		b.api.versions[key("a")] = 3
		b.Wrote("Keeper", key("keeper"), written)
	}
	write()
	b.wakes("its own write")
	looks := 0
	for range 2 * rare {
		looks += len(b.pass())
	}
	if looks != 2 {
		t.Errorf("it was looked at %d times within %d intervals, want every %d", looks, 2*rare, rare)
	}
	delete(b.api.versions, key("a"))
	for range rare {
		b.pass()
	}
	b.wakes("somebody has deleted it", "keeper")
	write()
	b.create("Reader", referring("reader", "a"))
	b.api.versions[key("a")] = 8
	b.pass()
	b.wakes("who else refers to it is not left waiting", "keeper", "reader")
	written.ResourceVersion = "9"
	b.Wrote("Keeper", key("keeper"), written)
	b.wakes("a write of the keeper", "reader")
	delete(b.api.versions, key("a"))
	b.Removed("Keeper", key("keeper"), key("a"))
	b.wakes("a deletion by the keeper", "reader")
	b.pass()
	b.wakes("is known")
}

// TestNothingStays: what was deleted leaves nothing behind, and neither does what was only read.
func TestNothingStays(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.api.accounts[key("puller")] = []string{"p1", "p2"}
	for i := range 50 {
		b.create("Reader", pulling(referring(fmt.Sprint("object", i), fmt.Sprint("s", i), "shared"), "puller"))
		b.read(fmt.Sprint("nobody", i))
	}
	b.readAccount("puller")
	b.readAccount("nobody")
	if all, missing := b.book.size(); all != 53 || missing != 0 {
		t.Errorf("%d Secrets are known, and %d of them missing, want 53 and 0", all, missing)
	}
	if asked := b.pass(); len(asked) != 2*53 {
		t.Errorf("%d requests for the first look at 53 Secrets, want two each", len(asked))
	}
	if asked := b.pass(); len(asked) != 53 {
		t.Errorf("%d requests for 53 Secrets, want one each", len(asked))
	}
	for i := range 50 {
		b.remove("Reader", referring(fmt.Sprint("object", i)))
	}
	for range 3 * rare {
		b.pass()
	}
	if n := len(b.book.objects) + len(b.book.secrets) + len(b.book.accounts); n > 0 {
		t.Errorf("%d entries stay: %v %v", n, slices.Collect(maps.Keys(b.book.secrets)), b.book.accounts)
	}
	if asked := b.pass(); len(asked) > 0 {
		t.Errorf("%v are still looked at", asked)
	}
}

// TestOrder: who waits for a missing Secret gets half of the looks, and none is left out.
func TestOrder(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i := range 10 {
		b.create("Reader", referring(fmt.Sprint("o", i), fmt.Sprint("there", i)))
		b.api.versions[key(fmt.Sprint("there", i))] = 1
	}
	b.create("Reader", referring("waits", "missing1", "missing2"))
	b.pass()
	b.clock = b.clock.Add(usualInterval)
	first := b.book.due(usualInterval)[:4]
	missing := 0
	for _, of := range first {
		if strings.HasPrefix(of.Name, "missing") {
			missing++
		}
	}
	if missing != 2 {
		t.Errorf("the first looks are at %v, want both missing ones among them", first)
	}
	seen := map[name]bool{}
	for range 6 { // there is time for two at each round
		for _, of := range b.book.due(usualInterval)[:2] {
			seen[of] = true
			b.book.looked(of, b.book.secrets[of].state)
		}
		b.clock = b.clock.Add(usualInterval)
	}
	if len(seen) < 7 {
		t.Errorf("6 rounds of two looks saw only %v", seen)
	}
}

// refer has an object of a namespace refer to Secrets there, of which nothing is known.
func (b *bench) refer(namespace string, secrets ...string) {
	obj := referring("reader", secrets...)
	obj.SetNamespace(namespace)
	b.create("Reader", obj)
}

// TestNamespacesTakeTurns: nobody waits longer because somebody in another namespace refers to thousands.
func TestNamespacesTakeTurns(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	many := make([]string, 1000)
	for i := range many {
		many[i] = fmt.Sprint("s", i)
		if i%2 == 0 {
			b.api.versions[client.ObjectKey{Namespace: "greedy", Name: many[i]}] = 1
		}
	}
	b.refer("greedy", many...)
	b.pass()
	b.clock = b.clock.Add(100 * usualInterval)
	b.refer("modest", "one", "two") // known for the shortest time
	b.refer("zealous", "one")
	seen := map[string]int{}
	for _, of := range b.book.due(usualInterval)[:5] {
		seen[of.Namespace]++
	}
	if want := map[string]int{"greedy": 2, "modest": 2, "zealous": 1}; !maps.Equal(seen, want) {
		t.Errorf("the first five looks are %v, want %v", seen, want)
	}
	for _, s := range b.book.secrets {
		s.urgent = true
	}
	if first := b.book.urgent()[:3]; first[0].Namespace == first[1].Namespace || first[1].Namespace == first[2].Namespace {
		t.Errorf("the first three that are urgent are %v, want one of each namespace", first)
	}
}

// TestEveryNamespaceHasItsTurn when there is time for fewer looks in a round than there are namespaces.
func TestEveryNamespaceHasItsTurn(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for i := range 50 {
		b.refer(fmt.Sprint("team-", i), "one", "two", "three")
	}
	looks := 0
	b.api.answered = func() {
		if looks++; looks%10 == 0 { // what is not known yet is asked for twice
			b.clock = b.clock.Add(usualInterval) // the round ends
		}
	}
	seen := map[string]int{}
	for range 10 {
		b.round(t.Context(), b.clock.Add(usualInterval/2))
	}
	for of, s := range b.book.secrets {
		if s.known {
			seen[of.Namespace]++
		}
	}
	if len(seen) != 50 {
		t.Errorf("10 rounds of five Secrets saw %d of 50 namespaces: %v", len(seen), seen)
	}
}

// TestUrgentLeavesRoom: somebody who makes Secrets urgent again and again gets no more than half of the looks.
func TestUrgentLeavesRoom(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var many []string
	for i := range 20 {
		many = append(many, fmt.Sprint("s", i))
	}
	b.refer("greedy", many...)
	b.pass()
	b.refer("modest", "a", "b", "c", "d", "e")
	b.api.answered = func() {
		for _, secret := range many {
			b.lookNow(client.ObjectKey{Namespace: "greedy", Name: secret})
		}
	}
	b.lookNow(client.ObjectKey{Namespace: "greedy", Name: many[0]})
	b.api.asked()
	b.round(t.Context(), b.clock.Add(usualInterval))
	asked := b.api.asked()
	modest := slices.IndexFunc(asked, func(secret string) bool { return secret == "e" })
	if modest < 0 || modest > 40 {
		t.Errorf("the last Secret of the modest is look number %d of %v", modest, asked)
	}
}

// TestFaults: what is wrong with one Secret is no reason to leave others alone, a server that does not answer is.
func TestFaults(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		fault error
		all   bool
	}{
		"forbidden":   {apierrors.NewForbidden(secretsResource, "a", errors.New("no")), true},
		"broken":      {apierrors.NewInternalError(errors.New("can't decrypt")), true},
		"overloaded":  {apierrors.NewTooManyRequests("later", 1), false},
		"unavailable": {apierrors.NewServiceUnavailable("later"), false},
		"no answer":   {errors.New("connection refused"), false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			for _, secret := range []string{"a", "b", "c"} {
				b.api.versions[key(secret)] = 1
				b.create("Reader", referring("o"+secret, secret))
			}
			b.pass()
			for _, secret := range []string{"a", "b", "c"} {
				b.api.faults[key(secret)] = tc.fault
			}
			if asked := b.pass(); (len(asked) == 3) != tc.all || !tc.all && len(asked) != 1 {
				t.Errorf("asked for %v", asked)
			}
			clear(b.api.faults)
			b.api.versions[key("b")] = 2
			b.pass()
			b.wakes("when it is over", "ob")
		})
	}
}

// TestHurry looks at once at what somebody has noticed.
func TestHurry(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.api.versions[key("a")] = 1
	b.create("Reader", referring("one", "a"))
	b.pass()
	b.lookNow(key("nobody's"))
	if len(b.hurry) > 0 {
		t.Error("a Secret that nobody refers to is looked at")
	}
	delete(b.api.versions, key("a"))
	b.lookNow(key("a"))
	b.lookNow(key("a")) // must not block
	<-b.hurry
	b.look(t.Context(), b.book.urgent(), b.clock.Add(time.Minute))
	b.wakes("a Secret that went", "one")
	if again := b.book.urgent(); len(again) > 0 {
		t.Errorf("%v are still urgent", again)
	}
}

func TestFollow(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	calls := 0
	b.Follow(key("own"), func() { calls++ })
	for _, version := range []int{0, 1, 1, 2} {
		b.api.versions[key("own")] = version
		b.pass()
	}
	if calls != 2 {
		t.Errorf("called %d times, want when it appears and when it changes", calls)
	}
}

// TestStart runs a Lookout as a manager does.
func TestStart(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.options.Now, b.book.now, b.options.Interval = time.Now, time.Now, time.Millisecond
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	called := make(chan struct{}, 1)
	b.Follow(key("own"), func() {
		select {
		case called <- struct{}{}:
		default:
		}
	})
	go func() { done <- b.Start(ctx) }()
	err := wait.PollUntilContextTimeout(t.Context(), time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
		b.api.mu.Lock()
		defer b.api.mu.Unlock()
		b.api.versions[key("own")]++
		return len(called) > 0, nil
	})
	if err != nil {
		t.Error("not called within a minute")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestNil(t *testing.T) {
	t.Parallel()
	var none *Lookout
	api := &server{}
	if none.Reader(api) != client.Reader(api) {
		t.Error("there is another reader")
	}
	if writer := client.Client(nil); none.Client(writer) != writer {
		t.Error("there is another client")
	}
	none.Follow(key("a"), func() { t.Error("called") })
	none.Wrote("Reader", key("a"), &corev1.Secret{})
	none.Removed("Reader", key("a"), key("b"))
	none.Dependents("Reader", refsOf).Create(t.Context(), event.CreateEvent{Object: referring("a", "b")}, nil)
	if _, err := New(Options{}); err == nil {
		t.Error("options without anything are accepted")
	}
}

// BenchmarkRound is one round over Secrets of which none has changed, without the server.
func BenchmarkRound(b *testing.B) {
	for _, size := range []struct{ secrets, namespaces int }{{1, 1}, {200, 1}, {5000, 1}, {5000, 500}} {
		secrets := size.secrets
		b.Run(fmt.Sprintf("secrets=%d,namespaces=%d", secrets, size.namespaces), func(b *testing.B) {
			s := newBench(b)
			s.limiter.SetLimit(rate.Inf)
			for i := range max(secrets, 200) {
				secret := fmt.Sprint("s", i%secrets)
				obj := referring(fmt.Sprint("o", i), secret)
				obj.Namespace = fmt.Sprint("team-", i%secrets%size.namespaces)
				s.api.versions[client.ObjectKey{Namespace: obj.Namespace, Name: secret}] = 1
				s.create("Reader", obj)
			}
			s.pass()
			requests := 0
			b.ReportAllocs()
			for b.Loop() {
				requests += len(s.pass())
			}
			b.ReportMetric(float64(requests)/float64(b.N), "requests/round")
		})
	}
}

// writer is a server that takes Secrets, too.
type writer struct {
	client.Client
	api *server
}

func (w writer) Get(ctx context.Context, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
	return w.api.Get(ctx, key, obj, opts...)
}

func (w writer) Create(ctx context.Context, obj client.Object, _ ...client.CreateOption) error {
	return w.Update(ctx, obj)
}

func (w writer) Update(_ context.Context, obj client.Object, _ ...client.UpdateOption) error {
	key := client.ObjectKeyFromObject(obj)
	w.api.versions[key]++
	obj.SetUID(types.UID(key.Name))
	obj.SetResourceVersion(strconv.Itoa(w.api.versions[key]))
	return w.api.faults[key]
}

// TestClient: what is written is known, so that it is missed when it goes before anybody has looked.
func TestClient(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	calls := 0
	b.Follow(key("own"), func() { calls++ })
	c := b.Client(writer{api: b.api})
	own := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "own"}}
	for i, step := range []struct {
		do   func() error
		want int
	}{
		{func() error { return client.IgnoreNotFound(c.Get(t.Context(), key("own"), own)) }, 0},
		{func() error { return c.Create(t.Context(), own) }, 1},
		{func() error { delete(b.api.versions, key("own")); b.pass(); return nil }, 2},
		{func() error { b.api.versions[key("own")] = 5; return c.Update(t.Context(), own) }, 3},
		{func() error { b.pass(); return nil }, 3},
	} {
		if err := step.do(); err != nil || calls != step.want {
			t.Errorf("step %d: called %d times, want %d (%v)", i, calls, step.want, err)
		}
	}
	b.api.faults[key("own")] = errors.New("no answer")
	if err := c.Update(t.Context(), own); err == nil || calls != 3 {
		t.Errorf("what was not written is noted: %v", err)
	}
}
