package gitsync

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"

	"github.com/ocm-operator/ocm-operator/apis/delivery/v1alpha1"
	"github.com/ocm-operator/ocm-operator/git/forge"
)

// Results of pushes.
const (
	resultPushed  = "pushed"
	resultMoved   = "moved"
	resultForeign = "foreign"
	resultFailed  = "failed"
)

// resultSucceeded is the other result of what forges are asked.
const resultSucceeded = "succeeded"

// What is done with pull requests.
const (
	actionCreate = "create"
	actionUpdate = "update"
	actionClose  = "close"
	actionLook   = "look"
)

// metrics count what is done with git repositories and forges. A nil *metrics counts nothing.
type metrics struct {
	pushes   *prometheus.CounterVec
	bytes    prometheus.Counter
	requests *prometheus.CounterVec
	open     *prometheus.GaugeVec
}

// newMetrics returns the metrics; a nil registerer shows them to nobody.
func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		pushes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ocm_git_pushes_total",
			Help: "Pushes to git repositories by how they ended; moved is one that lost against another and is done again, foreign one that was not done.",
		}, []string{"result"}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ocm_git_fetched_bytes_total",
			Help: "Bytes of git objects that were fetched to compare them with content.",
		}),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ocm_git_pull_requests_total",
			Help: "What was done with pull requests, by forge, and whether it has succeeded.",
		}, []string{"provider", "action", "result"}),
		open: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "ocm_git_pull_request_open",
			Help: "Whether a GitSync has an open pull request (1) or not (0).",
		}, []string{"namespace", "name"}),
	}
	for _, result := range []string{resultPushed, resultMoved, resultForeign, resultFailed} {
		m.pushes.WithLabelValues(result)
	}
	// Shown before there is anything to count, so that the first of each is seen as a change.
	for _, provider := range []string{forge.GitHub, forge.GitLab, forge.Gitea} {
		for _, action := range []string{actionCreate, actionUpdate, actionClose, actionLook} {
			m.requests.WithLabelValues(provider, action, resultSucceeded)
			m.requests.WithLabelValues(provider, action, resultFailed)
		}
	}
	if registerer == nil {
		return m, nil
	}
	var failed []error
	for _, collector := range []prometheus.Collector{m.pushes, m.bytes, m.requests, m.open} {
		failed = append(failed, registerer.Register(collector))
	}
	return m, errors.Join(failed...)
}

func (m *metrics) pushed(result string) {
	if m != nil {
		m.pushes.WithLabelValues(result).Inc()
	}
}

func (m *metrics) fetched(bytes int64) {
	if m != nil {
		m.bytes.Add(float64(bytes))
	}
}

func (m *metrics) asked(provider, action string, err error) {
	if m == nil {
		return
	}
	result := resultSucceeded
	if err != nil {
		result = resultFailed
	}
	m.requests.WithLabelValues(provider, action, result).Inc()
}

// state shows whether an object has an open pull request, if it has pull requests at all.
func (m *metrics) state(key types.NamespacedName, obj *v1alpha1.GitSync) {
	if m == nil {
		return
	}
	if !obj.Spec.AutomaticPullRequestCreation && obj.Status.PullRequest == nil {
		m.forget(key)
		return
	}
	open := 0.0
	if request := obj.Status.PullRequest; request != nil && request.State == v1alpha1.PullRequestOpen {
		open = 1
	}
	m.open.WithLabelValues(key.Namespace, key.Name).Set(open)
}

func (m *metrics) forget(key types.NamespacedName) {
	if m != nil {
		m.open.DeleteLabelValues(key.Namespace, key.Name)
	}
}
