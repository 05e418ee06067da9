package corpus

import (
	"bytes"
	"path/filepath"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"

	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/stages/stage/stagetest"
)

// TestParquetBound: rows that are all alike cost a file nothing and memory much.
func TestParquetBound(t *testing.T) {
	type line struct {
		ID      string `parquet:"id,dict"`
		Caption string `parquet:"caption,dict"`
	}
	write := func(rows int) string {
		var b bytes.Buffer
		w := parquet.NewGenericWriter[line](&b)
		_, err := w.Write(make([]line, rows))
		if err == nil {
			err = w.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
		return put(t, filepath.Join(t.TempDir(), "alike.parquet"), b.Bytes())
	}
	const many = 1_000_000
	if _, err := runTable(t, write(many), "", nil); err == nil || !strings.Contains(err.Error(), "bytes can tell apart") {
		t.Errorf("%d rows that are alike: %v", many, err)
	}
	if r, err := runTable(t, write(1000), "", nil); err != nil || len(r.Rejects) != 1000 {
		t.Errorf("1000 empty rows: %v, %d set aside", err, len(r.Rejects))
	}
}

// A boaster is a column of one page, which says that it holds more values than
// there are rows; they must not be read.
type boaster struct {
	parquet.ColumnChunk
	only page
}

type page struct {
	parquet.Page
	t *testing.T
}

type pages struct {
	parquet.Pages
	page page
}

func (b boaster) Pages() parquet.Pages          { return pages{page: b.only} }
func (p pages) ReadPage() (parquet.Page, error) { return p.page, nil }
func (pages) Close() error                      { return nil }
func (page) NumValues() int64                   { return 1 << 31 }
func (p page) Values() parquet.ValueReader {
	p.t.Fatal("its values are read")
	return nil
}

func TestPageBound(t *testing.T) {
	_, err := strs(boaster{only: page{t: t}}, "caption", 10)
	if err == nil || !strings.Contains(err.Error(), `column "caption" has more values than the 10 rows`) {
		t.Errorf("a page of 2^31 values: %v", err)
	}
}

// TestHoldOutOne: of a single photo none is left to train on, which is said; a
// share that rounds to none holds none out.
func TestHoldOutOne(t *testing.T) {
	csv := put(t, filepath.Join(t.TempDir(), "t.csv"), []byte("photo_id,caption\np,a dog\np,a cat\n"))
	if _, err := runTable(t, csv, "", map[string]any{"validation": 0.5}); err == nil || !strings.Contains(err.Error(), "none to train on") {
		t.Errorf("one photo, half of it held out: %v", err)
	}
	r, err := runTable(t, csv, "", map[string]any{"validation": 0.2})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range stagetest.Rows(t, r.Artifact, table.Captions) {
		if c.Split != "train" {
			t.Errorf("%s is in %s", c.ID, c.Split)
		}
	}
}
