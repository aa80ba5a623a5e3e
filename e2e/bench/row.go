package main

import (
	"fmt"
	"strconv"
	"time"
)

// row is one measurement.
type row struct {
	name  string
	begun time.Time
	// took are the times in which things were done, shortest first. The longest is that of the whole.
	took []time.Duration
	cost cost
	// notes are what the columns have no place for.
	notes []string
	// upstream is what the project that this one follows was measured to take, on another machine: only ratios say something.
	upstream string
	aims     []aim
	err      error
}

// aim is a bound that a measurement should keep.
type aim struct {
	what      string
	got, most float64
	unit      string
}

func (a aim) met() bool { return a.got <= a.most }

func (a aim) String() string {
	verdict := "met"
	if !a.met() {
		verdict = "**missed**"
	}
	return fmt.Sprintf("%s %s %s: %s", a.what, number(a.most), a.unit, verdict)
}

// last is the time of the whole.
func (r *row) last() time.Duration {
	if len(r.took) == 0 {
		return 0
	}
	return r.took[len(r.took)-1]
}

// first and median are those of several things that were done at once.
func (r *row) first() time.Duration { return r.took[0] }

func (r *row) median() time.Duration { return r.took[len(r.took)/2] }

func (r *row) aim(what string, got, most float64, unit string) {
	r.aims = append(r.aims, aim{what, got, most, unit})
}

func (r *row) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

// number writes a number with as many digits as mean something.
func number(f float64) string {
	switch {
	case f == float64(int64(f)):
		return strconv.FormatInt(int64(f), 10)
	case f >= 100:
		return fmt.Sprintf("%.0f", f)
	case f >= 10:
		return fmt.Sprintf("%.1f", f)
	}
	return fmt.Sprintf("%.2f", f)
}

func mebibytes(bytes int64) float64 { return float64(bytes) / (1 << 20) }

// contentAim is the bound of the resident memory for content of any size, in MiB.
const contentAim = 150

func (r *row) aimMemory() {
	r.aim("peak memory at most", mebibytes(r.cost.Peak), contentAim, "MiB")
}
