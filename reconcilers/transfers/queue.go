package transfers

import "slices"

// queue has the jobs that wait, and chooses the one that runs next.
type queue struct {
	// perRoute bounds how many jobs between the same hosts run at once, perHost those of a host with whatever other, perNamespace those of
	// a namespace, perHostOfOne those of a namespace and a host, and workers all.
	perRoute, perHost, perNamespace, perHostOfOne, workers int

	waiting []*task
	// These count the jobs that run.
	routes, hosts, namespaces, alone map[string]int
	hostsOfOne                       map[line]int
	running                          int
	// spaces and lines tell in which order namespaces, and those who wait in the same line, had their last turn.
	spaces map[string]int
	lines  map[line]int
	turn   int
}

// line is what jobs have in common that wait for each other: a namespace and a route, or a host.
type line struct{ namespace, route string }

func (t *task) line() line { return line{t.owner.Namespace, t.route} }

// newQueue returns the queue. A namespace leaves at least one worker to the others, however many hosts it has, and a host one to jobs
// without it, be they of other namespaces or, if there are enough, of the same: what is slow must not have everything.
func newQueue(workers, perRoute int) queue {
	return queue{
		workers: workers, perRoute: perRoute,
		perHost: max(1, perRoute, workers-1), perNamespace: max(1, workers-1), perHostOfOne: max(perRoute+1, workers-2),
		routes: map[string]int{}, hosts: map[string]int{}, namespaces: map[string]int{}, alone: map[string]int{},
		hostsOfOne: map[line]int{}, spaces: map[string]int{}, lines: map[line]int{},
	}
}

func (q *queue) len() int   { return len(q.waiting) }
func (q *queue) full() bool { return len(q.waiting) >= maxWaiting }

// add lets a job wait. A namespace, or a line, that had no turn yet comes behind those that wait already, and only before the one that
// had the last turn: new names must be no way to the front.
func (q *queue) add(t *task) {
	q.waiting = append(q.waiting, t)
	if len(q.lines) >= 2*maxWaiting || len(q.spaces) >= 2*maxWaiting {
		q.tidy()
	}
	if _, known := q.spaces[t.owner.Namespace]; !known {
		q.spaces[t.owner.Namespace] = q.turn - 1
	}
	if _, known := q.lines[t.line()]; !known {
		q.lines[t.line()] = q.turn - 1
	}
}

// tidy forgets the turns of those who don't wait.
func (q *queue) tidy() {
	spaces, lines := map[string]int{}, map[line]int{}
	for _, t := range q.waiting {
		if at, known := q.spaces[t.owner.Namespace]; known {
			spaces[t.owner.Namespace] = at
		}
		if at, known := q.lines[t.line()]; known {
			lines[t.line()] = at
		}
	}
	q.spaces, q.lines = spaces, lines
}

func (q *queue) remove(t *task) {
	if i := slices.Index(q.waiting, t); i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
	}
}

// place returns the place of a job among those that wait, from 1.
func (q *queue) place(t *task) int { return slices.Index(q.waiting, t) + 1 }

// next takes the job that runs next: one of the namespace for which the least runs, whose hosts are the least busy, and among those the
// one whose namespace, and in it whose line, has waited for its turn the longest. It returns nil when none may run. Owners that
// are busy have an earlier job that still ends.
func (q *queue) next(busy func(Owner) bool) *task {
	if q.running >= q.workers {
		return nil
	}
	var chosen *task
	var best [4]int
	for _, t := range q.waiting {
		if !q.admits(t) || busy(t.owner) {
			continue
		}
		rank := [...]int{q.namespaces[t.owner.Namespace], q.load(t), q.spaces[t.owner.Namespace], q.lines[t.line()]}
		if chosen == nil || slices.Compare(rank[:], best[:]) < 0 {
			chosen, best = t, rank
		}
	}
	if chosen == nil {
		return nil
	}
	q.remove(chosen)
	q.enter(chosen)
	return chosen
}

func (q *queue) admits(t *task) bool {
	namespace := t.owner.Namespace
	if q.namespaces[namespace] >= q.perNamespace || t.job.Alone != "" && q.alone[t.job.Alone] > 0 {
		return false
	}
	if t.route == "" {
		return true // between folders only
	}
	for _, host := range t.hosts {
		if q.hosts[host] >= q.perHost || q.hostsOfOne[line{namespace, host}] >= q.perHostOfOne {
			return false
		}
	}
	return q.routes[t.route] < q.perRoute
}

// load returns how many jobs run at the busiest host of a job.
func (q *queue) load(t *task) int {
	load := 0
	for _, host := range t.hosts {
		load = max(load, q.hosts[host])
	}
	return load
}

// enter counts a job that begins.
func (q *queue) enter(t *task) {
	q.turn += 2 // so that there is room between two turns
	q.spaces[t.owner.Namespace], q.lines[t.line()] = q.turn, q.turn
	q.running++
	q.routes[t.route]++
	q.namespaces[t.owner.Namespace]++
	q.alone[t.job.Alone]++
	for _, host := range t.hosts {
		q.hosts[host]++
		q.hostsOfOne[line{t.owner.Namespace, host}]++
	}
}

// leave counts a job that has ended.
func (q *queue) leave(t *task) {
	q.running--
	lessen(q.routes, t.route)
	lessen(q.namespaces, t.owner.Namespace)
	lessen(q.alone, t.job.Alone)
	for _, host := range t.hosts {
		lessen(q.hosts, host)
		lessen(q.hostsOfOne, line{t.owner.Namespace, host})
	}
}

func lessen[K comparable](counts map[K]int, name K) {
	if counts[name]--; counts[name] <= 0 {
		delete(counts, name)
	}
}
