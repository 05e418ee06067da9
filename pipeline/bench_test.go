package pipeline_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/hearsight/hearsight/pipeline"
	"github.com/hearsight/hearsight/pipeline/local"
	"github.com/hearsight/hearsight/spec"
)

// BenchmarkNothingChanged plans and runs 1,000 stages whose results are all in
// the store: what `run` costs when there is nothing to do.
func BenchmarkNothingChanged(b *testing.B) {
	t := &testing.T{}
	bn := openBench(t, b.TempDir()+"/store", b.TempDir()+"/rows", 3)
	bn.p.Stages = bn.p.Stages[:1]
	for i := range 1000 {
		name := fmt.Sprintf("s%d", i)
		bn.p.Stages = append(bn.p.Stages, spec.Stage{Name: name, Base: name, Kind: "join",
			Params: map[string]any{"sep": name}, Inputs: map[string][]string{"in": {"rows"}}})
	}
	bn.run(everything)
	for b.Loop() {
		e, err := pipeline.New(bn.p, kinds(&bn.ran, nil), bn.store, pipeline.Options{})
		if err != nil {
			b.Fatal(err)
		}
		p, err := e.Plan(context.Background(), everything)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := e.Run(context.Background(), p, local.New(local.Options{CPUs: 2})); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkOneOfMany edits one of 10,000 items.
func BenchmarkOneOfMany(b *testing.B) {
	bn := openBench(&testing.T{}, b.TempDir()+"/store", b.TempDir()+"/rows", 0)
	rows := make(map[string]string)
	for i := range 10000 {
		rows[fmt.Sprintf("i%05d", i)] = "text"
	}
	bn.write(rows)
	bn.p.Stages = bn.p.Stages[:2]
	bn.p.Stages[1].Shards = 16
	bn.run(everything)
	n := 0
	for b.Loop() {
		n++
		rows["i05000"] = fmt.Sprintf("edited%d", n)
		bn.write(rows)
		bn.run(everything)
		if got := bn.ran.take(); len(got) != 2 {
			b.Fatalf("ran %v", got)
		}
	}
}
