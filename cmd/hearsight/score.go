package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/hearsight/hearsight/internal/retrieval"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/spf13/cobra"
)

// Values of score --rows.
const (
	rowsCaptions = "captions"
	rowsPhotos   = "photos"
)

// manyCells are so many similarities that scoring them takes some seconds, and
// says what it is at.
const manyCells = 1 << 24

// scoreOptions are the flags of score.
type scoreOptions struct {
	matrix, pairs, rows, system, set, out string
	retrieval.Options
}

func (a *app) scoreCommand() *cobra.Command {
	o := scoreOptions{}
	c := &cobra.Command{
		Use:   "score --matrix FILE",
		Short: "Score a matrix of similarities, whoever made it",
		Long: "Scores similarities of captions and photos, from any program, as the stage eval scores a model. The matrix is a .npy array or text (CSV, or numbers between spaces),\n" +
			"a row a caption and a column a photo, higher being nearer; the first line and the first cell of each row may name them.\n" +
			"--pairs says which caption describes which photo: CSV with the columns caption and photo, and perhaps text, voice and group; in the order of the rows where these have no names.\n" +
			"Without it names must do (photo.jpg, or photo.jpg#0 and so on), or there are as many captions for each photo, photo by photo.\n" +
			"--out keeps the result as files, for `hearsight compare`.",
		Example: "  hearsight score --matrix similarities.npy --pairs captions.csv\n" +
			"  hearsight score --matrix s.csv --draws 5 --details --out theirs/\n" +
			"  hearsight score --matrix out/similarity-test.npy --rows photos --pairs captions.csv    one of ours",
		RunE: func(c *cobra.Command, _ []string) error { return a.score(c.Context(), o) },
	}
	f := c.Flags()
	f.StringVar(&o.matrix, "matrix", "", "the `FILE` of similarities")
	f.StringVar(&o.pairs, "pairs", "", "CSV `FILE` with the columns caption and photo")
	f.StringVar(&o.rows, "rows", rowsCaptions, "what the rows of the matrix are: captions or photos")
	f.StringVar(&o.system, "system", "", "what to call the system (default: the file's name)")
	f.StringVar(&o.set, "set-name", "test", "what to call the set of pairs")
	f.IntVar(&o.Draws, "draws", 0, "disjoint draws of photos to score beside the whole")
	f.IntVar(&o.DrawPhotos, "draw-photos", 100, "photos of each draw")
	f.Int64Var(&o.Seed, "seed", 1, "what draws and bootstrap intervals are drawn from")
	f.StringVar(&o.out, "out", "", "`FOLDER` to write metrics.json, queries.parquet, ranks.parquet and the matrix to")
	f.BoolVar(&a.details, "details", false, "print intervals, draws, scores by length and voice, and the hardest captions too")
	return c
}

func (a *app) score(ctx context.Context, o scoreOptions) error {
	switch {
	case o.matrix == "":
		return usagef("there is nothing to score: give --matrix FILE")
	case o.rows != rowsCaptions && o.rows != rowsPhotos:
		return usagef("--rows %s: want captions or photos", o.rows)
	case o.Draws < 0 || o.DrawPhotos < 1:
		return usagef("%d draws of %d photos are out of range", o.Draws, o.DrawPhotos)
	case o.set == "" || fileName(o.set, "npy") != o.set+".npy":
		return usagef("--set-name %q: want letters, digits, - and _", o.set)
	}
	meter := a.newMeter()
	grid, err := retrieval.ReadMatrix(ctx, o.matrix, func(done, all int64) { meter.tell("read", done, all) })
	meter.close()
	if err != nil {
		return err
	}
	var list []retrieval.Caption
	if o.pairs != "" {
		if list, err = retrieval.ReadCaptions(o.pairs); err != nil {
			return err
		}
	}
	set, err := retrieval.NewSet(o.set, grid, o.rows == rowsPhotos, list)
	if err != nil {
		return fmt.Errorf("%s: %w", o.matrix, err)
	}
	if len(set.Matrix.S) >= manyCells && !a.json {
		o.Phase = func(what string) {
			fmt.Fprintf(a.stderr, "hearsight: %d captions, %d photos: %s\n", len(set.Captions), len(set.Photos), what)
		}
	}
	r, err := set.Evaluate(ctx, o.Options)
	if err != nil {
		return fmt.Errorf("%s: %w", o.matrix, err)
	}
	if list == nil && (grid.RowIDs == nil || grid.ColumnIDs == nil) {
		fmt.Fprintf(a.stderr, "hearsight: nothing says which caption describes which photo: taken to be %d for each photo, photo by photo\n", len(set.Captions)/len(set.Photos))
	}
	m := table.Metrics{System: o.system, Settings: map[string]string{}}
	if m.System == "" {
		m.System = strings.TrimSuffix(filepath.Base(o.matrix), filepath.Ext(o.matrix))
	}
	scored := []retrieval.Scored{{Matrix: set.Matrix, Result: r}}
	if o.out != "" {
		if err := writeParts(o.out, retrieval.Parts(m, scored)); err != nil {
			return err
		}
	}
	m.Sets = append(m.Sets, r.Metrics)
	if a.json {
		return a.printJSON(metricsJSON([]table.Metrics{m}))
	}
	return a.printMetrics([]table.Metrics{m})
}

// writeParts writes scores into a folder, each file whole or not at all.
func writeParts(dir string, parts []retrieval.Part) error {
	for _, p := range parts {
		path := filepath.Join(dir, p.Name)
		err := writeWith(path, func(w io.Writer) error {
			_, err := p.Write(w)
			return err
		})
		if err != nil {
			return fmt.Errorf("write %s: %w", path, err)
		}
	}
	return nil
}
