package operator

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	metricsTimeout = 10 * time.Second
	// maxMetricLine bounds a line of metrics; the longest have a few hundred bytes.
	maxMetricLine = 1 << 20
)

// Metrics are values by the name of their series with its labels, as they are served.
type Metrics map[string]float64

// Metrics returns what the operator's metrics are now.
func (o *Operator) Metrics(ctx context.Context) (Metrics, error) {
	ctx, cancel := context.WithTimeout(ctx, metricsTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, o.MetricsURL(), http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("get the operator's metrics: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("get the operator's metrics: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("get the operator's metrics: %s", response.Status)
	}
	return ParseMetrics(response.Body)
}

// ParseMetrics reads metrics in the text format of Prometheus.
func ParseMetrics(r io.Reader) (Metrics, error) {
	found := Metrics{}
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, maxMetricLine)
	for scanner.Scan() {
		line := scanner.Text()
		space := strings.LastIndexByte(line, ' ')
		if space < 0 || strings.HasPrefix(line, "#") {
			continue
		}
		value, err := strconv.ParseFloat(line[space+1:], 64)
		if err != nil {
			return nil, fmt.Errorf("metric %q has no number: %w", line, err)
		}
		found[line[:space]] = value
	}
	if err := scanner.Err(); err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	return found, nil
}

// Sum adds up the series of a name that have all of the labels, each as in `method="GET"`.
func (m Metrics) Sum(name string, labels ...string) float64 {
	var sum float64
series:
	for series, value := range m {
		if series != name && !strings.HasPrefix(series, name+"{") {
			continue
		}
		for _, label := range labels {
			if !strings.Contains(series, label) {
				continue series
			}
		}
		sum += value
	}
	return sum
}

// Since returns by how much each series has grown since an earlier look. A process that was started in between has
// counted from zero: then the earlier look is an empty one.
func (m Metrics) Since(before Metrics) Metrics {
	grown := Metrics{}
	for series, value := range m {
		if value -= before[series]; value != 0 {
			grown[series] = value
		}
	}
	return grown
}
