package dataset

import (
	"fmt"

	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/internal/rows"
)

// LoadModel reads the model that an artifact holds.
func LoadModel[P any](from rows.Parts[P]) (*model.Model[float32], error) {
	config, err := rows.Bytes(from, model.Format)
	if err != nil {
		return nil, err
	}
	weights, err := rows.Bytes(from, model.WeightsFormat)
	if err != nil {
		return nil, err
	}
	return model.Load(config, weights)
}

// Fits says why a model does not take what looks so; nil if it does. A model of
// 40 coefficients would take clips of 20 for others half as long, and feature maps
// of one shape may come from another network than it learnt from.
func (s Shape) Fits(m *model.Spec) error {
	kind := map[bool]string{true: "images", false: "features"}
	if wants := m.Pixels != nil; wants != s.Pixels {
		return fmt.Errorf("the model starts from %s and is given %s", kind[wants], kind[s.Pixels])
	}
	if m.Height != s.Height || m.Width != s.Width || m.Image.In != s.Channels {
		return fmt.Errorf("the model takes %s of %dx%dx%d and is given %dx%dx%d", kind[s.Pixels], m.Height, m.Width, m.Image.In, s.Height, s.Width, s.Channels)
	}
	if m.Audio.In != s.Coeffs {
		return fmt.Errorf("the model takes frames of %d coefficients and is given %d", m.Audio.In, s.Coeffs)
	}
	for _, n := range m.Notes {
		if n.Key == "features" && s.Tower != "" && n.Value != s.Source() {
			return fmt.Errorf("the model learnt from features of %s and is given those of %s", n.Value, s.Source())
		}
	}
	return nil
}
