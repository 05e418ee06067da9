package main

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/hearsight/hearsight/spec"
)

// TestSpecs checks that the specs that come with the program are right.
func TestSpecs(t *testing.T) {
	for _, path := range []string{"starter.yaml", filepath.Join("..", "..", "demo.yaml"), filepath.Join("..", "..", "pipeline.yaml"), filepath.Join("..", "..", "hearsight.yaml"), filepath.Join("..", "..", "scripts", "paper-random.yaml")} {
		p, err := spec.Load(path, kindSpecs(), spec.Options{})
		if problems := (spec.Problems{}); errors.As(err, &problems) {
			t.Errorf("%s:\n%v", path, problems)
		} else if err != nil {
			t.Errorf("%s: %v", path, err)
		} else if len(p.Stages) == 0 {
			t.Errorf("%s has no stages", path)
		}
	}
}
