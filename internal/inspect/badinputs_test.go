package inspect

import (
	"bufio"
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hearsight/hearsight/internal/sharedtest"
)

// Each hostile file is inspected as a user would: the parent must survive, and
// say something in one line, whatever becomes of the child.
func TestBadInputs(t *testing.T) {
	root := sharedtest.Path(t, "badinputs")
	f, err := os.Open(filepath.Join(root, "manifest.tsv"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var wg sync.WaitGroup
	work := make(chan [2]string)
	for range 2 {
		wg.Go(func() {
			for w := range work {
				checkBad(t, w[0], w[1])
			}
		})
	}
	n := 0
	for sc := bufio.NewScanner(f); sc.Scan(); {
		col := strings.Split(sc.Text(), "\t")
		own := hasAny(col[0], "files/parquet/", "files/arrow/", "files/npy/") // other kinds' decoders have tests of their own
		if !own && !hasAny(col[0], "files/png/", "files/jpeg/", "files/wav/", "files/mp3/", "files/m4a/") {
			continue
		}
		n++
		if (testing.Short() && n%25 != 0) || (!own && n%10 != 0) {
			continue
		}
		work <- [2]string{filepath.Join(root, col[0]), col[3]}
	}
	close(work)
	wg.Wait()
	checkRSS(t)
	if n < 1500 {
		t.Errorf("only %d files in the manifest", n)
	}
}

func hasAny(s string, prefixes ...string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(s, p) {
			return true
		}
	}
	return false
}

func checkBad(t *testing.T, path, expect string) {
	t.Helper()
	start := time.Now()
	r, err := File(context.Background(), path, Options{})
	took := time.Since(start)
	name := filepath.Base(path)
	// Wall time counts what else this machine does; the child's own limit is 2 s
	// of processor time.
	if took > 6*time.Second {
		t.Errorf("%s: took %v", name, took)
	}
	if err != nil && (strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), path)) {
		t.Errorf("%s: error is not one line that names it: %v", name, err)
	}
	if testing.Verbose() && (took > time.Second || (err != nil && strings.Contains(err.Error(), "died"))) {
		t.Logf("%s: %v: %v", name, took, err)
	}
	switch expect {
	case "error":
		if err == nil {
			t.Errorf("%s: no error: %+v", name, r)
		}
	case "ok":
		if err != nil || len(r.Warnings) > 0 {
			t.Errorf("%s: %v %+v, want no complaint", name, err, r)
		}
	case "prefix", "warn":
		if err == nil && len(r.Warnings) == 0 {
			t.Errorf("%s: read in full without a word", name)
		}
	}
}
