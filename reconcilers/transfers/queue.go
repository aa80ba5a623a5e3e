package transfers

import "slices"

// queue has the jobs that wait, and chooses the one that runs next.
type queue struct {
	// perRoute bounds how many jobs between the same hosts run at once, perHost those of a host with whatever other, and workers all.
	perRoute, perHost, workers int

	waiting []*task
	// running counts the jobs that run, by route and by host.
	routes, hosts map[string]int
	running       int
	// served tells in which order those who wait in the same line had their last turn.
	served map[line]int
	turns  int
}

// line is what jobs have in common that wait for each other: a namespace and a route.
type line struct{ namespace, route string }

func (t *task) line() line { return line{t.owner.Namespace, t.route} }

// newQueue returns the queue. A host that is on many routes leaves at least one worker to jobs without it: what is slow
// must not have everything.
func newQueue(workers, perRoute int) queue {
	return queue{
		workers: workers, perRoute: perRoute, perHost: max(1, perRoute, workers-1),
		routes: map[string]int{}, hosts: map[string]int{}, served: map[line]int{},
	}
}

func (q *queue) len() int   { return len(q.waiting) }
func (q *queue) full() bool { return len(q.waiting) >= maxWaiting }

func (q *queue) add(t *task) { q.waiting = append(q.waiting, t) }

func (q *queue) remove(t *task) {
	if i := slices.Index(q.waiting, t); i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
	}
}

// place returns the place of a job among those that wait, from 1.
func (q *queue) place(t *task) int { return slices.Index(q.waiting, t) + 1 }

// next takes the job that runs next: one whose hosts are the least busy, and among them the one in the line that has waited
// for its turn the longest. It returns nil when none may run. Owners that are busy have an earlier job that still ends.
func (q *queue) next(busy func(Owner) bool) *task {
	if q.running >= q.workers {
		return nil
	}
	var chosen *task
	var best [2]int
	for _, t := range q.waiting {
		if !q.admits(t) || busy(t.owner) {
			continue
		}
		if rank := [2]int{q.load(t), q.served[t.line()]}; chosen == nil || slices.Compare(rank[:], best[:]) < 0 {
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
	if t.route == "" {
		return true // between folders only
	}
	return q.routes[t.route] < q.perRoute && q.load(t) < q.perHost
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
	if len(q.served) >= maxWaiting {
		clear(q.served) // of all who ever waited, those who do now find their order again
	}
	q.turns++
	q.served[t.line()] = q.turns
	q.running++
	q.routes[t.route]++
	for _, host := range t.hosts {
		q.hosts[host]++
	}
}

// leave counts a job that has ended.
func (q *queue) leave(t *task) {
	q.running--
	lessen(q.routes, t.route)
	for _, host := range t.hosts {
		lessen(q.hosts, host)
	}
}

func lessen(counts map[string]int, name string) {
	if counts[name]--; counts[name] <= 0 {
		delete(counts, name)
	}
}
