package store_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/ocm-operator/ocm-operator/registry/store"
	"github.com/ocm-operator/ocm-operator/registry/store/storetest"
)

// BenchmarkOpen starts with 100,000 snapshots, after a process that was stopped in order and after one that was killed, which reads all
// of the index. What it reports as anonymous is memory that the kernel can't take back.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	s, err := store.Open(dir, store.Options{NoSync: true})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := storetest.Fill(b.Context(), s, 100_000); err != nil {
		b.Fatal(err)
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	// The leases of what was pushed have run out.
	later := func() time.Time { return time.Now().Add(2 * time.Hour) }
	for name, killed := range map[string]bool{"after a stop": false, "after a kill": true} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if killed {
					b.StopTimer()
					forget(b, dir)
					b.StartTimer()
				}
				s, err := store.Open(dir, store.Options{NoSync: true, Now: later})
				if err != nil {
					b.Fatal(err)
				}
				b.StopTimer()
				b.ReportMetric(anonymous(b), "MiB-anon")
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
				b.StartTimer()
			}
		})
	}
}

// forget takes away what a store leaves for the next process.
func forget(b *testing.B, dir string) {
	b.Helper()
	db, err := bbolt.Open(dir+"/index.db", 0o600, &bbolt.Options{NoSync: true})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, key := range []string{"totals", "leases"} {
			if err := tx.Bucket([]byte("state")).Delete([]byte(key)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

// anonymous returns the memory of this process in MiB that is not of files; zero where the system does not tell.
func anonymous(b *testing.B) float64 {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, rest, _ := strings.Cut(string(status), "RssAnon:")
	fields := strings.Fields(rest)
	if len(fields) == 0 {
		return 0
	}
	kibibytes, err := strconv.ParseFloat(fields[0], 64)
	if err != nil {
		b.Fatal(err)
	}
	return kibibytes / 1024
}
