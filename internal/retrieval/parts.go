package retrieval

import (
	"io"

	"github.com/hearsight/hearsight/internal/npy"
	"github.com/hearsight/hearsight/internal/table"
)

// A Part is one file of a scores artifact.
type Part struct {
	Name, Schema string
	Write        func(w io.Writer) (rows int64, err error)
}

// Scored is a set and what came of it.
type Scored struct {
	Matrix Matrix
	Result *Result
}

// Parts are the files of a system's scores; the sets' metrics become m's:
//
//	metrics.json        table.Metrics
//	queries.parquet     a row a caption
//	ranks.parquet       a row a query, either direction
//	similarity-SET.npy  float32, photos by captions
func Parts(m table.Metrics, sets []Scored) []Part {
	var ranks []table.Rank
	var queries []table.Query
	var out []Part
	for _, s := range sets {
		m.Sets = append(m.Sets, s.Result.Metrics)
		ranks, queries = append(ranks, s.Result.Ranks...), append(queries, s.Result.Queries...)
		out = append(out, Part{"similarity-" + s.Result.Metrics.Set + ".npy", "", func(w io.Writer) (int64, error) {
			flat := make([]float32, len(s.Matrix.S))
			for i, v := range s.Matrix.S {
				flat[i] = float32(v)
			}
			return 0, npy.Write(w, []int{s.Matrix.Images, s.Matrix.Clips}, flat)
		}})
	}
	return append(out,
		Part{"metrics.json", table.MetricsSchema, func(w io.Writer) (int64, error) { return 0, table.WriteMetrics(w, m) }},
		rowsPart("queries", table.Queries, queries), rowsPart("ranks", table.Ranks, ranks))
}

func rowsPart[R any](name string, f table.Format[R], rows []R) Part {
	return Part{name + f.Ext(), f.Schema(), func(w io.Writer) (int64, error) {
		return f.Write(w, func(yield func(R, error) bool) {
			for _, r := range rows {
				if !yield(r, nil) {
					return
				}
			}
		})
	}}
}
