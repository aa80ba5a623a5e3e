package secrets

import (
	"slices"
	"strconv"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/ocm-operator/ocm-operator/reconcilers/source"
)

// maxPulls is how many of the Secrets are known that one ServiceAccount pulls with.
const maxPulls = 64

// queue is where the objects of a kind wait to be looked at. It holds each of them once.
type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// name is the name of a Secret or of a ServiceAccount.
type name = types.NamespacedName

// state tells one content of a Secret from another. The zero value is that there is no such Secret.
type state struct {
	uid     types.UID
	version string
}

// before tells whether a Secret seems to have been in this state before it was in another one.
func (s state) before(other state) bool {
	if s.uid != other.uid || s == other {
		return false
	}
	ours, err := strconv.ParseUint(s.version, 10, 64)
	theirs, bad := strconv.ParseUint(other.version, 10, 64)
	return err == nil && bad == nil && ours < theirs
}

// object is one that refers to Secrets.
type object struct {
	kind string
	name
}

// dependent is what is known of an object.
type dependent struct {
	secrets, accounts []name
	// keeps is set if it has written the Secrets itself.
	keeps bool
	queue queue
}

// secret is what is known of a Secret.
type secret struct {
	state state
	known bool
	// since is when that was noted.
	since time.Time
	// dependents refer to it, accounts are the ServiceAccounts that pull with it, and followers are called.
	dependents map[object]struct{}
	accounts   map[name]struct{}
	followers  []func()
	// looked is when it was looked at last, and touched when somebody has read it, or who refers to it has changed.
	looked, touched time.Time
	// urgent is set if it is to be looked at now.
	urgent bool
}

func (s *secret) used() bool { return len(s.dependents)+len(s.accounts)+len(s.followers) > 0 }

// late tells whether a state is older than the one that is known: the answer to a question from before that one was noted was on its way for
// long. What was asked for later is true, whatever its version: those of a database that was restored from a backup go back.
func (s *secret) late(is state, asked time.Time) bool {
	return s.known && is.before(s.state) && asked.Before(s.since)
}

// account is what is known of a ServiceAccount.
type account struct {
	dependents map[object]struct{}
	pulls      []name
	touched    time.Time
}

// book is what a Lookout knows.
type book struct {
	mu       sync.Mutex
	now      func() time.Time
	objects  map[object]dependent
	secrets  map[name]*secret
	accounts map[name]*account
	// turn is the namespace of which a Secret was looked at last.
	turn string
}

func newBook(now func() time.Time) *book {
	return &book{now: now, objects: map[object]dependent{}, secrets: map[name]*secret{}, accounts: map[name]*account{}}
}

// secret returns the entry of a Secret, made if there is none.
func (b *book) secret(of name) *secret {
	s, ok := b.secrets[of]
	if !ok {
		s = &secret{dependents: map[object]struct{}{}, accounts: map[name]struct{}{}, touched: b.now()}
		b.secrets[of] = s
	}
	return s
}

// account returns the entry of a ServiceAccount, made if there is none.
func (b *book) account(of name) *account {
	a, ok := b.accounts[of]
	if !ok {
		a = &account{dependents: map[object]struct{}{}, touched: b.now()}
		b.accounts[of] = a
	}
	return a
}

// enter notes what an object refers to now.
func (b *book) enter(who object, refs []source.Ref, keeps bool, to queue) {
	d := dependent{keeps: keeps, queue: to}
	for _, ref := range refs {
		switch {
		case ref.Name == "":
		case ref.Kind == source.SecretKind:
			d.secrets = append(d.secrets, ref.Key())
		case ref.Kind == source.ServiceAccountKind:
			d.accounts = append(d.accounts, ref.Key())
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.objects[who]
	if len(d.secrets)+len(d.accounts) == 0 {
		delete(b.objects, who)
	} else {
		b.objects[who] = d
	}
	for _, of := range d.secrets {
		b.secret(of).dependents[who] = struct{}{}
	}
	for _, of := range d.accounts {
		b.account(of).dependents[who] = struct{}{}
	}
	b.leave(who, before, d)
}

// remove forgets an object.
func (b *book) remove(who object) {
	b.mu.Lock()
	defer b.mu.Unlock()
	before := b.objects[who]
	delete(b.objects, who)
	b.leave(who, before, dependent{})
}

// leave takes an object away from what it refers to no longer. What nobody refers to is kept for a moment: if the object has been changed back
// meanwhile, it may have read the Secret already.
func (b *book) leave(who object, before, now dependent) {
	for _, of := range before.secrets {
		if s := b.secrets[of]; s != nil && !slices.Contains(now.secrets, of) {
			delete(s.dependents, who)
			s.touched = b.now()
		}
	}
	for _, of := range before.accounts {
		if a := b.accounts[of]; a != nil && !slices.Contains(now.accounts, of) {
			delete(a.dependents, who)
			a.touched = b.now()
		}
	}
}

// unlink notes that a ServiceAccount does not pull with a Secret any more.
func (b *book) unlink(pull, account name) {
	if s := b.secrets[pull]; s != nil {
		delete(s.accounts, account)
		s.touched = b.now()
	}
}

// follow calls whenever a Secret has changed.
func (b *book) follow(of name, call func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.secret(of)
	s.followers = append(s.followers, call)
}

// pulls notes which Secrets a ServiceAccount pulls with, as somebody has just read it.
func (b *book) pulls(of name, secrets []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.account(of)
	a.touched = b.now()
	before := a.pulls
	a.pulls = nil
	for _, one := range secrets[:min(len(secrets), maxPulls)] {
		pull := name{Namespace: of.Namespace, Name: one}
		if one == "" || slices.Contains(a.pulls, pull) {
			continue
		}
		a.pulls = append(a.pulls, pull)
		b.secret(pull).accounts[of] = struct{}{}
	}
	for _, pull := range before {
		if !slices.Contains(a.pulls, pull) {
			b.unlink(pull, of)
		}
	}
}

// read notes the state of a Secret by which somebody decides what to do, and when they have asked for it. That may be an entry of its own for a
// while: whoever reads may not have been entered yet.
func (b *book) read(of name, is state, asked time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.secret(of)
	s.looked, s.touched = b.now(), b.now()
	switch {
	case s.known && is == s.state:
	case s.late(is, asked):
		b.wake(s, object{}) // what was decided by it is out of date
	default:
		b.set(s, is, object{})
	}
}

// wrote notes the state that an object has brought a Secret into. Everybody else is woken.
func (b *book) wrote(who object, of name, is state) {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.secret(of)
	s.looked = b.now()
	if !s.known || is != s.state && !is.before(s.state) {
		b.set(s, is, who)
	}
}

// told notes the state of a Secret that somebody refers to, and tells whether it is news. The time is when it was asked for; the zero time is
// for a state that may be of any age.
func (b *book) told(of name, is state, asked time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.secrets[of]
	if s == nil {
		return false
	}
	s.looked, s.urgent = b.now(), false
	if s.known && is == s.state || s.late(is, asked) {
		return false
	}
	news := s.known
	b.set(s, is, object{})
	return news
}

// looked tells whether a Secret is, as a look says that may be a little out of date, what it was, and notes that it was looked at.
func (b *book) looked(of name, is state) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.secrets[of]
	if s == nil {
		return true
	}
	if !s.known || s.urgent || is != s.state {
		return false
	}
	s.looked = b.now()
	return true
}

// failed notes that a Secret could not be looked at.
func (b *book) failed(of name) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.secrets[of]; s != nil {
		s.looked, s.urgent = b.now(), false
	}
}

// set notes another state. Who is left out knows already. Whoever has read a Secret that nothing is known of needs not be woken.
func (b *book) set(s *secret, is state, leftOut object) {
	changed := s.known
	s.state, s.known, s.since = is, true, b.now()
	if changed {
		b.wake(s, leftOut)
	}
}

// wake lets those be looked at who refer to a Secret.
func (b *book) wake(s *secret, leftOut object) {
	for who := range s.dependents {
		if who != leftOut {
			b.wakeObject(who)
		}
	}
	for of := range s.accounts {
		if a := b.accounts[of]; a != nil {
			for who := range a.dependents {
				b.wakeObject(who)
			}
		}
	}
	for _, call := range s.followers {
		call()
	}
}

func (b *book) wakeObject(who object) {
	if d, ok := b.objects[who]; ok && d.queue != nil {
		d.queue.Add(reconcile.Request{NamespacedName: who.name})
	}
}
