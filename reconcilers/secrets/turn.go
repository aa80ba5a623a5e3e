package secrets

import (
	"maps"
	"slices"
	"sort"
	"time"
)

// rare is how many intervals lie between two looks at a Secret that the operator has written itself and nobody else refers to. Somebody who
// takes it away is rare, and notices.
const rare = 6

// candidate is a Secret that is to be looked at.
type candidate struct {
	name
	looked time.Time
}

// share are the Secrets of one namespace that are to be looked at.
type share struct{ missing, others []candidate }

// due returns the Secrets that are to be looked at: one of each namespace, then the second of each, and so on. Of a namespace, those come first
// whose look is longest ago, and those that are missing come in turn with all others: somebody waits for each of them, but may wait for any
// number.
func (b *book) due(interval time.Duration) []name {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	shares := map[string]share{}
	for of, s := range b.secrets {
		kept, since, line := b.kept(s), now.Sub(s.looked), shares[of.Namespace]
		switch {
		case !s.used(), !s.urgent && since < interval/2, kept && !s.urgent && since < rare*interval-interval/2:
			continue
		case s.known && s.state == state{} && !kept:
			line.missing = append(line.missing, candidate{of, s.looked})
		default:
			line.others = append(line.others, candidate{of, s.looked})
		}
		shares[of.Namespace] = line
	}
	return b.byTurns(shares)
}

// urgent returns the Secrets that are to be looked at now.
func (b *book) urgent() []name {
	b.mu.Lock()
	defer b.mu.Unlock()
	shares := map[string]share{}
	for of, s := range b.secrets {
		if s.urgent && s.used() {
			shares[of.Namespace] = share{others: append(shares[of.Namespace].others, candidate{of, s.looked})}
		}
	}
	return b.byTurns(shares)
}

// byTurns takes one of each namespace as long as there are. The namespace whose turn was the last comes last, so that none is left out when
// there is time for fewer looks than there are namespaces.
func (b *book) byTurns(shares map[string]share) []name {
	namespaces := slices.Sorted(maps.Keys(shares))
	next := sort.Search(len(namespaces), func(i int) bool { return namespaces[i] > b.turn })
	namespaces = slices.Concat(namespaces[next:], namespaces[:next])
	lines, longest, all := make([][]name, len(namespaces)), 0, 0
	for i, namespace := range namespaces {
		lines[i] = inTurn(shares[namespace].missing, shares[namespace].others)
		longest, all = max(longest, len(lines[i])), all+len(lines[i])
	}
	names := make([]name, 0, all)
	for i := range longest {
		lines = slices.DeleteFunc(lines, func(line []name) bool { return i >= len(line) })
		for _, line := range lines {
			names = append(names, line[i])
		}
	}
	return names
}

// tookTurn notes that a namespace has had its turn.
func (b *book) tookTurn(namespace string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.turn = namespace
}

// hurry lets a Secret be looked at now, and tells whether that is anybody's concern.
func (b *book) hurry(of name) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	s := b.secrets[of]
	if s == nil || !s.used() {
		return false
	}
	s.urgent = true
	return true
}

// kept tells whether nobody refers to a Secret but those who have written it.
func (b *book) kept(s *secret) bool {
	if len(s.accounts)+len(s.followers) > 0 {
		return false
	}
	for who := range s.dependents {
		if !b.objects[who].keeps {
			return false
		}
	}
	return true
}

// inTurn takes one of each as long as there are.
func inTurn(first, second []candidate) []name {
	for _, candidates := range [][]candidate{first, second} {
		slices.SortFunc(candidates, func(a, b candidate) int { return a.looked.Compare(b.looked) })
	}
	names := make([]name, 0, len(first)+len(second))
	for i := range max(len(first), len(second)) {
		if i < len(first) {
			names = append(names, first[i].name)
		}
		if i < len(second) {
			names = append(names, second[i].name)
		}
	}
	return names
}

// prune forgets what nobody has referred to for a while.
func (b *book) prune(after time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	until := b.now().Add(-after)
	for of, a := range b.accounts {
		if len(a.dependents) > 0 || a.touched.After(until) {
			continue
		}
		delete(b.accounts, of)
		for _, pull := range a.pulls {
			b.unlink(pull, of)
		}
	}
	for of, s := range b.secrets {
		if !s.used() && !s.touched.After(until) {
			delete(b.secrets, of)
		}
	}
}

// size returns how many Secrets are referred to, and how many of them are missing.
func (b *book) size() (all, missing int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.secrets {
		if !s.used() {
			continue
		}
		all++
		if s.known && (s.state == state{}) {
			missing++
		}
	}
	return all, missing
}
