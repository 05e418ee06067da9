package exec

import (
	"archive/tar"
	"bytes"
	"io"
	"iter"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/stages/stage/stagetest"
)

// results are the files of an artifact of Each: name -> bytes.
func results(t *testing.T, a *artifacts.Artifact) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, p := range a.Parts(filesSchema) {
		for r := tar.NewReader(bytes.NewReader(stagetest.Bytes(t, a, p.Name))); ; {
			h, err := r.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			out[h.Name] = string(b)
		}
	}
	return out
}

func each(t *testing.T, in *artifacts.Artifact, s *artifacts.Store, params map[string]any) stagetest.Result {
	t.Helper()
	r, err := stagetest.Run(t, Each, stagetest.Options{Store: s, Params: params, Inputs: stagetest.In("in", in)})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestEachSources runs a command over what artifacts of each sort have.
func TestEachSources(t *testing.T) {
	s := stagetest.Store(t)
	show := map[string]any{"command": sh(`echo "$ITEM $1"; cat "$1"`, "{item}"), "stdout": true}
	loose := stagetest.Artifact(t, s, "files", stagetest.File("a.txt", []byte("first")), stagetest.File("deep/b.txt", []byte("second")))
	packed := each(t, loose, s, map[string]any{"command": []any{"cp", "{item}", "{out}"}, "suffix": ".2"}).Artifact
	captions := stagetest.Artifact(t, s, "pairs", stagetest.Part("captions.parquet", table.Captions, table.Caption{ID: "c#0", Text: "a dog"}))
	clips := stagetest.Artifact(t, s, "speech", stagetest.Part("clips-00.parquet", table.Clips, table.Clip{ID: "c#0", SHA256: strings.Repeat("0", 64), Format: "wav", Audio: []byte("RIFF")}))
	for name, c := range map[string]struct {
		in   *artifacts.Artifact
		want map[string]string
	}{
		"loose":    {loose, map[string]string{"a.txt": "a.txt in/a.txt\nfirst", "deep/b.txt": "deep/b.txt in/b.txt\nsecond"}},
		"packed":   {packed, map[string]string{"a.txt.2": "a.txt.2 in/a.txt.2\nfirst", "deep/b.txt.2": "deep/b.txt.2 in/b.txt.2\nsecond"}},
		"captions": {captions, map[string]string{"c#0": "c#0 in/c#0.json\n" + `{"ID":"c#0","PhotoID":"","Index":0,"Text":"a dog","Split":"","Group":""}`}},
		"clips":    {clips, map[string]string{"c#0": "c#0 in/c#0.wav\nRIFF"}},
	} {
		if diff := cmp.Diff(c.want, results(t, each(t, c.in, s, show).Artifact)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestEachRejected: what goes wrong with an item is the item's fault.
func TestEachRejected(t *testing.T) {
	s := stagetest.Store(t)
	in := stagetest.Artifact(t, s, "files", stagetest.File("a", []byte("x")))
	for _, c := range []struct{ script, want string }{
		{"echo it is broken >&2; exit 3", "it is broken"},
		{"true", "left no {out}"},
		{"echo >$1; echo >out/more", `left "more" beside {out}`},
		{"ln -s /etc/hostname $1", "not a regular file"},
		{"mkfifo $1", "not a regular file"},
		{"sleep 60", "took longer than 100ms"},
	} {
		r := each(t, in, s, map[string]any{"command": sh(c.script, "{out}"), "timeout": "100ms"})
		if len(r.Rejects) != 1 || !strings.Contains(r.Rejects[0].Reason, c.want) {
			t.Errorf("%s: rejects = %v, want %q", c.script, r.Rejects, c.want)
		}
	}
}

func TestEachCheck(t *testing.T) {
	for _, c := range []struct {
		params map[string]any
		bad    bool
	}{
		{map[string]any{"command": []any{"cp", "{item}", "{out}"}}, false},
		{map[string]any{"command": []any{"cat", "{item}"}, "stdout": true}, false},
		{map[string]any{"command": []any{"cat", "{item}"}}, true},
		{map[string]any{"command": []any{"cp", "{item}", "{out}"}, "suffix": "/x"}, true},
		{map[string]any{"command": []any{"cp", "{item}", "{out}"}, "suffix": "\x00"}, true},
		{map[string]any{"command": []any{"cp", "{item}", "{out}"}, "timeout": "soon"}, true},
	} {
		if got := Each.Spec().Check(c.params); (len(got) > 0) != c.bad {
			t.Errorf("Check(%v) = %v", c.params, got)
		}
	}
}

func FuzzArchive(f *testing.F) {
	var b bytes.Buffer
	if _, err := Files(".x").Write(&b, seqOf(File{"a", []byte("one")}, File{strings.Repeat("long/", 40) + "ü", nil})); err != nil {
		f.Fatal(err)
	}
	f.Add(b.Bytes())
	f.Fuzz(func(t *testing.T, data []byte) {
		r := bytes.NewReader(data)
		for _, err := range Files(".x").Rows(r, r.Size()) {
			if err != nil {
				break
			}
		}
		entries, err := listArchive(r, r.Size())
		for _, e := range entries {
			if err == nil && (e.off < 0 || e.off+e.size > r.Size()) {
				t.Errorf("%q lies outside of the archive", e.name)
			}
		}
	})
}

func seqOf(files ...File) iter.Seq2[File, error] {
	return func(yield func(File, error) bool) {
		for _, f := range files {
			if !yield(f, nil) {
				return
			}
		}
	}
}
