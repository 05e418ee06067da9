package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/retrieval"
	"github.com/hearsight/hearsight/internal/rows"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/pipeline"
	"github.com/spf13/cobra"
)

func (a *app) compareCommand() *cobra.Command {
	ks, seed := []int{1, 5, 10}, int64(1)
	c := &cobra.Command{
		Use:   "compare A B",
		Short: "Say whether one system finds more than another, query by query",
		Long: "Compares two scores of the same pairs: stages of the spec, or folders that `hearsight get` or `hearsight score --out` wrote (told by a slash in the name).\n" +
			"Counts the queries that one of the two alone has right, with McNemar's test (exact and mid-p), and the difference with a bootstrap interval over photos.\n" +
			"Equals count against a system. Other pairs are an error: their ranks are among other candidates.",
		Example:           "  hearsight compare scores@VGG16_5 scores@VGG16_6\n  hearsight compare scores@VGG16_5 theirs/ --k 1,10",
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: a.completeStages,
		RunE: func(c *cobra.Command, args []string) error {
			if slices.ContainsFunc(ks, func(k int) bool { return k < 1 }) || len(ks) == 0 {
				return usagef("--k %v: want numbers from 1", ks)
			}
			var stages []string
			for _, x := range args {
				if !isFolder(x) {
					stages = append(stages, x)
				}
			}
			if len(stages) == 0 {
				return a.compare(nil, args, ks, seed)
			}
			return a.planned(c.Context(), pipeline.Selection{Targets: stages}, func(p *pipeline.Plan, _ *artifacts.Store) error {
				return a.compare(p, args, ks, seed)
			})
		},
	}
	c.Flags().IntSliceVar(&ks, "k", ks, "count a query as right within the first `K`")
	c.Flags().Int64Var(&seed, "seed", seed, "what the bootstrap is drawn from")
	return c
}

func isFolder(arg string) bool { return strings.ContainsAny(arg, `/\`) }

func (a *app) compare(p *pipeline.Plan, args []string, ks []int, seed int64) error {
	var both [2]retrieval.Scores
	for i, x := range args {
		var err error
		if isFolder(x) {
			both[i], err = scoresOf[string](folder(x))
		} else {
			var art *artifacts.Artifact
			if art, err = result(p, x); err == nil {
				both[i], err = scoresOf[artifacts.Part](art)
			}
		}
		if err != nil {
			return fmt.Errorf("%s: %w", x, err)
		}
	}
	all, err := retrieval.Compare(both[0], both[1], ks, seed)
	if err != nil {
		return err
	}
	if a.json {
		return a.printJSON(all)
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "set\tdirection\tk\tqueries\tA\tB\tB - A\tA alone\tB alone\tp exact\tp mid")
	for _, c := range all {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%.3f\t%.3f\t%+.3f [%+.3f %+.3f]\t%d\t%d\t%.3g\t%.3g\n", c.Set, wayName(c.Direction), c.K, c.N,
			c.A, c.B, c.Difference, c.Interval.Low, c.Interval.High, c.OnlyA, c.OnlyB, c.Exact, c.MidP)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "A is %s, B is %s. A, B: shares of queries right within the first k, equals counted against; in brackets the 95 %% bootstrap interval over photos; p: McNemar's test, two-sided\n", args[0], args[1])
	return nil
}

// wayName is a direction in words.
func wayName(direction string) string {
	if direction == table.ImageToSpeech {
		return "photo -> speech"
	}
	return "speech -> photo"
}

// scoresOf reads a result that scores are in.
func scoresOf[P any](from rows.Parts[P]) (retrieval.Scores, error) {
	var s retrieval.Scores
	text, err := rows.Bytes(from, table.MetricsSchema)
	if err != nil {
		return s, fmt.Errorf("holds no metrics: %w", err)
	}
	if s.Metrics, err = table.ReadMetrics(strings.NewReader(string(text))); err != nil {
		return s, err
	}
	s.Queries, err = rows.All(table.Queries, from)
	if err == nil && len(s.Queries) == 0 {
		err = errors.New("holds no rows of queries: score it again")
	}
	return s, err
}

// A folder is scores as files: a rows.Parts of paths.
type folder string

// Parts lists the file of a schema.
func (f folder) Parts(schema string) []string {
	name := map[string]string{table.MetricsSchema: "metrics.json", table.Queries.Schema(): "queries" + table.Queries.Ext()}[schema]
	path := filepath.Join(string(f), name)
	if _, err := os.Stat(path); name == "" || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return []string{path}
}

// Open opens a file.
func (folder) Open(path string) (*os.File, error) { return os.Open(path) }
