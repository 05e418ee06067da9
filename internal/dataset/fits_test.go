package dataset

import (
	"strings"
	"testing"

	"github.com/hearsight/hearsight/internal/model"
)

// TestFitsSource: feature maps of one shape may come from another layer or
// network than the model learnt from, which no shape tells.
func TestFitsSource(t *testing.T) {
	shape := Shape{Height: 14, Width: 14, Channels: 512, Coeffs: 40, Tower: "vgg16", Layer: "conv5_3"}
	m := &model.Spec{
		Image: model.Tower{In: 512}, Audio: model.Tower{In: 40}, Height: 14, Width: 14,
		Notes: []model.KeyString{{Key: "features", Value: shape.Source()}},
	}
	if err := shape.Fits(m); err != nil {
		t.Errorf("fits: %v", err)
	}
	shape.Layer = "pool4"
	if err := shape.Fits(m); err == nil || !strings.Contains(err.Error(), "pool4") {
		t.Errorf("fits with another layer: %v, want an error that names it", err)
	}
}
