package secrets

import "github.com/prometheus/client_golang/prometheus"

// Results of looks at Secrets.
const (
	resultSame    = "same"
	resultChanged = "changed"
	resultFailed  = "failed"
	resultWatched = "watched"
)

// metrics are those of a Lookout.
type metrics struct{ looks *prometheus.CounterVec }

func newMetrics(registerer prometheus.Registerer, size func() (all, missing int)) (*metrics, error) {
	m := &metrics{looks: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ocm_secret_looks_total",
		Help: "Looks at the metadata of Secrets that objects refer to, by what came of them.",
	}, []string{"result"})}
	if registerer == nil {
		return m, nil
	}
	referred := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "ocm_secrets_referred",
		Help: "Secrets that objects refer to.",
	}, func() float64 {
		all, _ := size()
		return float64(all)
	})
	absent := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "ocm_secrets_missing",
		Help: "Secrets that objects refer to and that do not exist.",
	}, func() float64 {
		_, missing := size()
		return float64(missing)
	})
	for _, collector := range []prometheus.Collector{m.looks, referred, absent} {
		if err := registerer.Register(collector); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) count(result string) { m.looks.WithLabelValues(result).Inc() }
