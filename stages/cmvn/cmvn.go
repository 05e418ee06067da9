// Package cmvn normalises features by the statistics of their corpus: each
// column to mean 0 and standard deviation 1 over all frames of all clips.
//
// In come features, out come the same rows with other numbers. It is a stage of
// its own, and not an option of mfcc, because here each row depends on all
// others: a clip that is added or changed moves the mean, and with it every row.
// Kept apart, that redoes this stage, which is a sum and a product for each
// number, and none of the stages before.
//
// The statistics are those of all rows that come in. Where a model must not see
// those of its test clips, let train normalise instead (normalize: corpus): it
// uses its training clips and keeps the numbers in the model.
package cmvn

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/hearsight/hearsight/internal/mel"
	"github.com/hearsight/hearsight/internal/rows"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/stages/stage"
)

// Kind normalises features.
var Kind = stage.NewItems(stage.Kind{
	Name:    "cmvn",
	Doc:     "normalise features by the mean and deviation of the corpus",
	Version: 1,
	Inputs:  []stage.Input{{Name: "mfcc", Doc: "features", Types: []string{"mfcc"}}},
	Output:  "mfcc",
	Numeric: true,
}, Params{Variance: true}, stage.Items[Params, table.MFCC]{
	List:  list,
	Open:  open,
	Table: func(Params) stage.Table[table.MFCC] { return table.MFCCs },
})

// Params are the parameters of Kind.
type Params struct {
	Variance bool `json:"variance" doc:"divide by the deviation, too"`
}

// list: what decides a row is its features and those of all.
func list(_ context.Context, t *stage.Task, _ Params) ([]stage.Item, error) {
	entries, err := rows.List(table.MFCCs, t.Input("mfcc"))
	if err != nil {
		return nil, err
	}
	all := sha256.New()
	for _, e := range entries {
		fmt.Fprintf(all, "%q %s\n", e.ID, e.SHA256)
	}
	corpus := "corpus sha256:" + hex.EncodeToString(all.Sum(nil))
	items := make([]stage.Item, len(entries))
	for i, e := range entries {
		items[i] = stage.Item{ID: e.ID, Key: []string{"mfcc sha256:" + e.SHA256, corpus}, Ref: e.Ref}
	}
	return items, nil
}

func open(_ context.Context, t *stage.Task, p Params) (stage.Do[table.MFCC], func() error, error) {
	var moments mel.Moments
	var wide []float64
	cols := int32(0)
	if _, err := rows.Each(table.MFCCs, t.Input("mfcc"), func(m table.MFCC) error {
		if cols == 0 {
			cols = m.NCoeffs
		}
		if m.NCoeffs != cols || cols < 1 || len(m.Features) != int(m.NFrames)*int(cols) {
			return fmt.Errorf("%s has %d frames of %d features, %d numbers; the clips before have %d features a frame", m.ID, m.NFrames, m.NCoeffs, len(m.Features), cols)
		}
		wide = widen(wide, m.Features)
		moments.Add(wide, int(cols))
		return nil
	}); err != nil {
		return nil, nil, err
	}
	features, err := rows.Open(table.MFCCs, t.Input("mfcc"))
	if err != nil {
		return nil, nil, err
	}
	mean, std := moments.MeanStd()
	do := func(_ context.Context, it stage.Item) (table.MFCC, error) {
		ref, _ := it.Ref.(rows.Ref)
		m, err := features.Row(ref)
		if err != nil {
			return table.MFCC{}, err
		}
		if int(m.NCoeffs) != len(mean) {
			return table.MFCC{}, fmt.Errorf("%s has %d features a frame, the corpus %d", m.ID, m.NCoeffs, len(mean))
		}
		for i, v := range m.Features {
			c := i % len(mean)
			x := float64(v) - mean[c]
			if p.Variance && std[c] > 0 {
				x /= std[c]
			}
			m.Features[i] = float32(x)
		}
		m.SHA256 = table.SumFloats(m.Features)
		return m, nil
	}
	return do, features.Close, nil
}

func widen(to []float64, x []float32) []float64 {
	to = to[:0]
	for _, v := range x {
		to = append(to, float64(v))
	}
	return to
}
