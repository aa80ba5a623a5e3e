package subscription

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/fluxcd/pkg/apis/meta"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/ocm/signing"
	"github.com/ocm-operator/ocm-operator/ocm/transfer"
	"github.com/ocm-operator/ocm-operator/reconcilers/access"
	"github.com/ocm-operator/ocm-operator/reconcilers/lifecycle"
	"github.com/ocm-operator/ocm-operator/reconcilers/transfers"
)

const (
	// showAfter is how long a replication may take without its progress being shown.
	showAfter = time.Second
	// showEvery is how often the progress is written at most.
	showEvery = 10 * time.Second
)

// attempt is the replication of one version, its verification or a check, with all that is needed when it has ended.
type attempt struct {
	candidate

	job transfers.Job
	// spec is the digest of what it is replicated for, and wish names what it depends on besides.
	spec, wish string
	// signatures are those that were checked at the source.
	signatures []signing.Checked
	// lost is what the destination had lost, if that is why.
	lost    string
	started time.Time
	// doing says what it is.
	doing string
	// outcome is that of a verification or a check; it is nil if the version is copied.
	outcome *outcome
}

// follow looks whether a replication goes on for the object, and waits for its end: what is newer by now has its turn then. One that
// began with other keys or credentials than those of now ends here.
func (c *controller) follow(_ context.Context, r *run) error {
	a := r.memory.attempt
	switch {
	case a == nil:
		return nil
	case a.wish != r.wish():
		c.stop(r)
		return nil
	case r.memory.attemptFor != r.obj.Generation:
		return nil
	}
	key, state, known := c.pool.Look(r.owner())
	switch {
	case !known || key != a.job.Key:
		r.memory.attempt = nil
		r.obj.Status.Progress = nil
		return nil
	case !state.Ended():
		return c.tell(r, a, state)
	}
	c.ended(r, a, c.pool.Ask(r.owner(), a.job))
	return nil
}

// copy has a version copied. The error says that this goes on; how it ended is in the memory and the status.
func (c *controller) copy(r *run, w wanted, lost string) error {
	a := &attempt{candidate: w.candidate, spec: r.digest, wish: r.wish(), lost: lost, started: c.now(), job: c.job(r, w)}
	a.doing = fmt.Sprintf("replicating version %s to %s", w.version, r.target())
	if w.proof != nil {
		a.signatures = w.proof.Signatures
	}
	r.obj.Status.LastAttemptedVersion = w.version
	return c.ask(r, a)
}

// ask has the pool do what an attempt needs. The error says that this goes on.
func (c *controller) ask(r *run, a *attempt) error {
	if going := r.memory.attempt; going != nil && going.job.Key == a.job.Key {
		a.started, a.job, a.outcome = going.started, going.job, going.outcome
	}
	state := c.pool.Ask(r.owner(), a.job)
	if !state.Ended() {
		r.memory.attempt, r.memory.attemptFor = a, r.obj.Generation
		return c.tell(r, a, state)
	}
	c.ended(r, a, state)
	return nil
}

// job is the copy of a version. It is another one as soon as anything is that it depends on.
func (c *controller) job(r *run, w wanted) transfers.Job {
	options := c.options(r)
	if w.proof != nil {
		options.Pinned = transfers.Pinned(access.Proven(w.proof))
	}
	return transfers.Copy(r.wish()+" "+w.String(), r.source, r.destination, r.component, w.version, options)
}

// options are how versions are copied.
func (c *controller) options(r *run) transfer.Options {
	spec := r.obj.Spec
	o := transfer.Options{
		Sources: spec.Transfer.Sources, Flat: spec.Transfer.Recursive != nil && !*spec.Transfer.Recursive,
		OmitResourceTypes: spec.Transfer.OmitResourceTypes, OmitAccessTypes: spec.Transfer.OmitAccessTypes,
		Artifacts: transfer.Artifacts(spec.Transfer.Artifacts), Overwrite: spec.OverwritePolicy == v1alpha1.OverwriteAllow,
		Memory: c.inventories,
	}
	if spec.Transfer.Resources != v1alpha1.AllResources {
		o.Resources = transfer.Resources(spec.Transfer.Resources)
	}
	if r.policy != nil {
		o.Verify = r.policy.Requests
	}
	return o
}

// tell says how far a replication is, from time to time, in the status and in the condition Reconciling. What was done before it is
// written along with that.
func (c *controller) tell(r *run, a *attempt, state transfers.State) error {
	r.busy = true
	m, now := r.memory, c.now()
	long := now.Sub(a.started) >= showAfter
	first := m.shownText == "" || long && (m.shown.Version != a.version || r.obj.Status.Progress == nil)
	shows := first || now.Sub(m.shownSince) >= showEvery || len(m.news) >= maxNews || m.urgent(&r.obj.Status)
	if shows {
		m.shownSince, m.shown = now, *state.Status(a.version)
		m.shownText = fmt.Sprintf("%s: %s", a.doing, state)
	}
	if long {
		shown := m.shown
		r.obj.Status.Progress = &shown
	}
	if shows {
		r.publish()
	} else {
		m.holdBack(r.obj)
	}
	err := lifecycle.Busy(meta.ProgressingReason, errors.New(m.shownText))
	if v, ok := errors.AsType[*lifecycle.Verdict](err); ok {
		v.After = state.Again
	}
	return err
}

// ended takes the outcome of a replication.
func (c *controller) ended(r *run, a *attempt, state transfers.State) {
	now := c.now()
	r.memory.attempt, r.obj.Status.Progress = nil, nil
	if a.outcome != nil {
		c.concluded(r, a, state.Err)
		return
	}
	ended := v1alpha1.Replication{
		Version: a.version, StartTime: metav1.NewTime(a.started).Rfc3339Copy(), EndTime: metav1.NewTime(now).Rfc3339Copy(),
	}
	result := state.Result
	if result != nil {
		ended.CopiedBytes, ended.CopiedBlobs = result.CopiedBytes, int32(result.Copied) //nolint:gosec // no component has more blobs than that
	}
	err := state.Err
	if err == nil && (result == nil || len(result.Versions) == 0) {
		err = fmt.Errorf("the replication of %s came to nothing", describe(r.component, a.version))
	}
	if err == nil && result.Versions[len(result.Versions)-1].Source != a.manifest {
		err = fmt.Errorf("version %s of %s was changed at the source while it was replicated", a.version, r.component)
	}
	if err != nil {
		verdict := notTransferred(err)
		r.memory.fail(a.candidate, verdict)
		r.meets(a, err, verdict)
		ended.Result, ended.Message = v1alpha1.ReplicationFailed, clip(err.Error())
		if r.remember(ended) {
			r.fails(a.version, reasonOf(verdict), err)
		}
		return
	}
	c.succeeded(r, a, result, ended)
}

// meets remembers what a failure says about what comes next.
func (r *run) meets(a *attempt, err, verdict error) {
	if ofSide(err) {
		r.memory.broken = a.String()
	}
	if found, ok := errors.AsType[*transfer.ConflictError](err); ok {
		r.memory.clash(a.candidate, conflict{wish: a.wish, found: found, err: verdict})
	}
}

// succeeded records a version that is at the destination now. That everything was there is no news if it was known.
func (c *controller) succeeded(r *run, a *attempt, result *transfer.Result, ended v1alpha1.Replication) {
	root := result.Versions[len(result.Versions)-1]
	known, before := r.entry(a.version)
	done := replicated{candidate: candidate{a.version, root.Source}, local: root.Target, spec: a.spec, signatures: a.signatures}
	r.keep(done, c.now())
	r.memory.bring(a.candidate)
	if a.lost != "" {
		r.memory.repair(a.candidate)
	}
	if before && known.SourceDigest == root.Source.String() && unchanged(result) {
		return
	}
	came := news{version: a.version, lost: a.lost, blobs: int64(result.Blobs), copied: int64(result.Copied), sent: result.CopiedBytes}
	sent := counts([]news{came})
	ended.Result, ended.Digest, ended.Message = v1alpha1.ReplicationSucceeded, root.Target.String(), sent
	if a.lost != "" {
		ended.Result, ended.Message = v1alpha1.ReplicationRepaired, clip(fmt.Sprintf("%s; the destination had lost %s", sent, a.lost))
	}
	r.remember(ended)
	r.memory.news = append(r.memory.news, came)
}

// unchanged tells whether a copy has found everything at its target.
func unchanged(result *transfer.Result) bool {
	if result.Copied > 0 || result.Mounted > 0 {
		return false
	}
	for _, v := range result.Versions {
		if v.Outcome != transfer.Unchanged {
			return false
		}
	}
	return true
}
