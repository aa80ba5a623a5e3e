package v1alpha1

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// DefaultTimeout bounds one reconciliation of an object whose spec has no timeout.
const DefaultTimeout = 5 * time.Minute

// Schedule says when an object is reconciled. It is a part of the spec of every kind that has an interval.
type Schedule struct {
	// interval is the time between two reconciliations of an unchanged object, as a Go duration. It has no default and must be longer than zero.
	// Example: 10m0s.
	// +required
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[+]?(([0-9]+([.][0-9]*)?|[.][0-9]+)(ns|us|µs|ms|s|m|h))+$') && duration(self) > duration('0s')",message="interval must be a duration longer than zero: write a number with a unit, for example 10m0s or 1h; use suspend to stop reconciling"
	Interval metav1.Duration `json:"interval"`

	// retryInterval is the time after which a failed reconciliation is tried again, as a Go duration longer than zero. The default is the interval.
	// Example: 1m0s.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[+]?(([0-9]+([.][0-9]*)?|[.][0-9]+)(ns|us|µs|ms|s|m|h))+$') && duration(self) > duration('0s')",message="retryInterval must be a duration longer than zero: write a number with a unit, for example 1m0s, or leave it out to retry after interval"
	RetryInterval *metav1.Duration `json:"retryInterval,omitempty"`

	// timeout bounds one reconciliation with everything that it reads and writes, as a Go duration longer than zero. The default is 5m0s.
	// Example: 15m0s.
	// +optional
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:MaxLength=64
	// +kubebuilder:validation:XValidation:rule="self.matches('^[+]?(([0-9]+([.][0-9]*)?|[.][0-9]+)(ns|us|µs|ms|s|m|h))+$') && duration(self) > duration('0s')",message="timeout must be a duration longer than zero: write a number with a unit, for example 5m0s, or leave it out for the default of 5m0s"
	Timeout *metav1.Duration `json:"timeout,omitempty"`

	// suspend stops the reconciliation of the object while it is true; deletion is still processed. The default is false.
	// Example: true.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// GetRetryInterval returns the time after which a failed reconciliation is tried again: retryInterval, else interval.
func (s Schedule) GetRetryInterval() time.Duration {
	if s.RetryInterval != nil && s.RetryInterval.Duration > 0 {
		return s.RetryInterval.Duration
	}
	return s.Interval.Duration
}

// GetTimeout returns the bound of one reconciliation: timeout, else DefaultTimeout.
func (s Schedule) GetTimeout() time.Duration {
	if s.Timeout != nil && s.Timeout.Duration > 0 {
		return s.Timeout.Duration
	}
	return DefaultTimeout
}
