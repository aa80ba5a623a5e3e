package transfers

import "maps"

// line is what jobs have in common that wait for each other: a namespace and a route, or a host.
type line struct{ namespace, route string }

func (t *task) line() line { return line{t.owner.Namespace, t.route} }

// bounds are how many jobs run at once in a lot: perRoute between the same hosts, perHost those of a host with whatever other,
// perNamespace those of a namespace, perHostOfOne those of a namespace and a host, and workers all.
type bounds struct{ perRoute, perHost, perNamespace, perHostOfOne, workers int }

// newBounds returns the bounds. A namespace leaves at least one worker to the others, however many hosts it has, and a host one to jobs
// without it, be they of other namespaces or, if there are enough, of the same: what is slow must not have everything.
func newBounds(workers, perRoute int) bounds {
	return bounds{
		workers: workers, perRoute: perRoute,
		perHost: max(1, perRoute, workers-1), perNamespace: max(1, workers-1), perHostOfOne: max(perRoute+1, workers-2),
	}
}

// lot counts jobs that run, and are bounded, together.
type lot struct {
	routes, hosts, namespaces map[string]int
	hostsOfOne                map[line]int
	running                   int
}

func newLot() *lot {
	return &lot{routes: map[string]int{}, hosts: map[string]int{}, namespaces: map[string]int{}, hostsOfOne: map[line]int{}}
}

func (l *lot) clone() *lot {
	return &lot{
		routes: maps.Clone(l.routes), hosts: maps.Clone(l.hosts), namespaces: maps.Clone(l.namespaces),
		hostsOfOne: maps.Clone(l.hostsOfOne), running: l.running,
	}
}

// admits tells whether the bounds have room for a job.
func (l *lot) admits(t *task, b bounds) bool {
	namespace := t.owner.Namespace
	if l.running >= b.workers || l.namespaces[namespace] >= b.perNamespace {
		return false
	}
	if t.route == "" {
		return true // between folders only
	}
	for _, host := range t.hosts {
		if l.hosts[host] >= b.perHost || l.hostsOfOne[line{namespace, host}] >= b.perHostOfOne {
			return false
		}
	}
	return l.routes[t.route] < b.perRoute
}

// count takes a job in, with 1, or out, with -1.
func (l *lot) count(t *task, by int) {
	l.running += by
	add(l.routes, t.route, by)
	add(l.namespaces, t.owner.Namespace, by)
	for _, host := range t.hosts {
		add(l.hosts, host, by)
		add(l.hostsOfOne, line{t.owner.Namespace, host}, by)
	}
}

func add[K comparable](counts map[K]int, name K, by int) {
	if counts[name] += by; counts[name] <= 0 {
		delete(counts, name)
	}
}
