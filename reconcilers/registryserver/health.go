package registryserver

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/record"

	"github.com/ocm-operator/ocm-operator/registry/certs"
)

// invalidSecretReason is that of the event on a Secret of the registry that can't be used.
const invalidSecretReason = "InvalidSecret"

// health tells how the Secrets of the registry are.
type health struct {
	expires, broken *prometheus.GaugeVec

	mu       sync.Mutex
	recorder record.EventRecorder
	// told is what was told last about a Secret that can't be used.
	told map[string]string
}

func newHealth() *health {
	gauge := func(name, help, label string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "ocm", Subsystem: "registry", Name: name, Help: help}, []string{label})
	}
	return &health{
		expires: gauge("certificate_expiry_timestamp_seconds", "When the certificate that is served ends, and the authority that clients trust.", "certificate"),
		broken:  gauge("secret_invalid", "1 while a Secret of the registry can't be used, and what it had before is.", "secret"),
		told:    map[string]string{},
	}
}

// Describe implements prometheus.Collector.
func (h *health) Describe(ch chan<- *prometheus.Desc) {
	h.expires.Describe(ch)
	h.broken.Describe(ch)
}

// Collect implements prometheus.Collector.
func (h *health) Collect(ch chan<- prometheus.Metric) {
	h.expires.Collect(ch)
	h.broken.Collect(ch)
}

// serves notes the certificates that are served now.
func (h *health) serves(b certs.Bundle) {
	cert, authority := b.Expiry()
	for name, end := range map[string]time.Time{"serving": cert, "authority": authority} {
		if end.IsZero() {
			h.expires.DeleteLabelValues(name)
		} else {
			h.expires.WithLabelValues(name).Set(float64(end.Unix()))
		}
	}
}

// tell says once what is wrong with a Secret, or that it is good again.
func (r *Registry) tellSecret(secret string, err error) {
	h := r.health
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		h.broken.WithLabelValues(secret).Set(0)
		if h.told[secret] != "" {
			r.log.Info("A Secret of the registry is good again", "secret", secret)
		}
		delete(h.told, secret)
		return
	}
	h.broken.WithLabelValues(secret).Set(1)
	if h.told[secret] == err.Error() {
		return
	}
	h.told[secret] = err.Error()
	r.log.Error(err, "A Secret of the registry can't be used, what it had before is used still", "secret", secret)
	if h.recorder != nil {
		about := &corev1.Secret{
			TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
			ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: secret},
		}
		h.recorder.Event(about, corev1.EventTypeWarning, invalidSecretReason, "The registry goes on with what this Secret had before: "+err.Error())
	}
}
