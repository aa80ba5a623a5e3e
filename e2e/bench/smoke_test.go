package main

import "testing"

// TestOnePipeline runs the shortest part, so that this program works when somebody needs it.
func TestOnePipeline(t *testing.T) {
	b := &bench{progress: t.Output(), pipelines: 1}
	chosen, err := choose([]string{"one"})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.runAll(t.Context(), chosen); err != nil {
		t.Fatal(err)
	}
	if len(b.rows) != 2 {
		t.Fatalf("got %d measurements, want the idle operator and one pipeline", len(b.rows))
	}
	for _, r := range b.rows {
		if r.err != nil || r.cost.Peak == 0 || len(r.aims) == 0 {
			t.Errorf("%s: error %v, cost %+v, aims %v", r.name, r.err, r.cost, r.aims)
		}
	}
	pipeline := b.rows[1]
	if len(pipeline.took) != 1 || pipeline.cost.requests() == 0 || total(pipeline.cost.Source) == 0 || pipeline.cost.Snapshots == 0 || pipeline.cost.Events == 0 {
		t.Errorf("the pipeline has cost nothing: %v, %+v", pipeline.took, pipeline.cost)
	}
}
