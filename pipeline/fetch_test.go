package pipeline_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/artifacts/remote"
	"github.com/hearsight/hearsight/artifacts/remotetest"
	"github.com/hearsight/hearsight/pipeline"
)

var impatient = remote.Options{Patience: remote.Patience{Wait: time.Microsecond, StallBytes: 1}}

// pushedBench is a bench that has run, and a remote that holds all it made.
func pushedBench(t *testing.T) (*bench, remote.Remote) {
	t.Helper()
	b := newBench(t, 10)
	b.run(pipeline.Selection{})
	r, err := remote.OpenFolder(filepath.Join(t.TempDir(), "remote"), true)
	if err != nil {
		t.Fatal(err)
	}
	b.push(r)
	return b, r
}

func (b *bench) push(r remote.Remote) {
	b.t.Helper()
	e := b.engine()
	p, err := e.Plan(context.Background(), pipeline.Selection{})
	if err != nil {
		b.t.Fatal(err)
	}
	what := remote.Choice{Lineage: e.Lineage(p)}
	for _, a := range p.Actions {
		what.Artifacts = append(what.Artifacts, a.Artifact.Digest)
	}
	if _, err := remote.Push(context.Background(), b.store, r, what, remote.PushOptions{}); err != nil {
		b.t.Fatal(err)
	}
}

// second is another machine with the same spec and file and an empty store.
func (b *bench) second(r remote.Remote) *bench {
	b.t.Helper()
	c := openBench(b.t, filepath.Join(b.t.TempDir(), "second"), b.file, 0)
	c.p = b.p
	c.o.Remote = remote.NewReader(c.store, r, impatient)
	return c
}

func TestSecondMachineRunsNothing(t *testing.T) {
	b, r := pushedBench(t)
	want := digests(b.run(pipeline.Selection{}))
	c := b.second(r)
	if got := digests(c.run(pipeline.Selection{})); got != want {
		t.Errorf("digests:\n%swant\n%s", got, want)
	}
	c.want()
	cached := c.events(pipeline.StageCached)
	if len(cached) != 4 || cached[0].Reason != "from "+r.String() || len(c.events(pipeline.StageFinished)) > 0 {
		t.Errorf("events: %+v", cached)
	}

	// Forced is forced; what follows comes out the same.
	if got := digests(c.run(pipeline.Selection{Force: []string{"all"}})); got != want {
		t.Errorf("forced:\n%swant\n%s", got, want)
	}
	c.want("all")

	// Damage is mended from the remote.
	damagePart(t, c, "up")
	if got := digests(c.run(pipeline.Selection{Force: []string{"back"}, Targets: []string{"all"}})); got != want {
		t.Errorf("mended:\n%swant\n%s", got, want)
	}
	for _, what := range c.ran.take() {
		if strings.HasPrefix(what, "upper") {
			t.Errorf("%s was done, which the remote holds", what)
		}
	}
}

// damagePart removes a part of a stage's result.
func damagePart(t *testing.T, b *bench, stage string) {
	t.Helper()
	art := b.plan(pipeline.Selection{}).Action(stage).Artifact
	x := strings.TrimPrefix(art.Manifest.Parts[0].Digest.String(), "sha256:")
	if err := os.Remove(filepath.Join(b.store.Dir(), "objects", x[:2], x[2:])); err != nil {
		t.Fatal(err)
	}
}

// TestEditOnSecondMachine: also where nothing was made, an edit is done as one.
func TestEditOnSecondMachine(t *testing.T) {
	b, r := pushedBench(t)
	rows := numbered(10)
	rows["i003"] = "edited"
	c := b.second(r)
	c.run(pipeline.Selection{})
	b.write(rows)
	got := digests(c.run(pipeline.Selection{}))
	c.want("all", "read", "reverse i003", "upper i003")

	// So also on a third, which never had the first version.
	d := b.second(r)
	if now := digests(d.run(pipeline.Selection{})); now != got {
		t.Errorf("digests:\n%swant\n%s", now, got)
	}
	d.want("all", "read", "reverse i003", "upper i003")
	if now := c.cold(); now != got {
		t.Errorf("digests:\n%scold\n%s", got, now)
	}
}

func TestPull(t *testing.T) {
	b, r := pushedBench(t)
	c := b.second(r)
	e := c.engine()
	p, err := e.Plan(t.Context(), pipeline.Selection{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	err = e.Pull(t.Context(), p, func(string, int64, int64) {}, func(p pipeline.Pulled) {
		if p.Remote && p.Err == nil {
			got = append(got, p.Stage)
		}
	})
	if err != nil || strings.Join(got, " ") != "rows up back all" {
		t.Fatalf("pulled %v, %v", got, err)
	}
	c.o.Remote = nil // off line
	c.run(pipeline.Selection{})
	c.want()
	rows := numbered(10)
	rows["i003"] = "edited"
	c.write(rows)
	c.run(pipeline.Selection{})
	c.want("all", "read", "reverse i003", "upper i003")
}

// TestHostileRemote: a remote may slow a run and nothing else.
func TestHostileRemote(t *testing.T) {
	b, r := pushedBench(t)
	want := digests(b.run(pipeline.Selection{}))
	for name, h := range map[string]*remotetest.Hostile{
		"wrong bytes":  {Flip: true},
		"cut":          {Cut: true},
		"broken":       {Break: true},
		"endless":      {Endless: true},
		"gone":         {Gone: errors.New("connection refused")},
		"soon gone":    {Gone: errors.New("connection reset"), After: 7},
		"refused":      {Gone: remote.ErrRefused},
		"objects lost": {Lose: true, Only: func(name string) bool { return strings.HasPrefix(name, "objects/") }},
		"some objects": {Flip: true, Only: func(name string) bool { return name[8] < '8' }},
	} {
		t.Run(name, func(t *testing.T) {
			h.Remote = r
			c := b.second(h)
			if got := digests(c.run(pipeline.Selection{})); got != want {
				t.Errorf("digests:\n%swant\n%s", got, want)
			}
			warned := 0
			for _, ev := range c.events(pipeline.Message) {
				if ev.Warning {
					warned++
				}
			}
			if warned == 0 || warned > 12 {
				t.Errorf("%d warnings", warned)
			}
			err := c.store.Verify(t.Context(), artifacts.VerifyOptions{}, func(p artifacts.Problem) { t.Error(p) })
			if err != nil {
				t.Error(err)
			}
		})
	}
}
