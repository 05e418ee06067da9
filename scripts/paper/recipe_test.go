package main

import (
	"path/filepath"
	"strconv"
	"testing"

	"github.com/hearsight/hearsight/pipeline"
	"github.com/hearsight/hearsight/stages"
)

// TestRecipe: what steps are reckoned from is what the specs say, of every row.
func TestRecipe(t *testing.T) {
	specs := map[string]map[string]bool{} // and their models
	for _, r := range allRows() {
		if specs[r.spec] == nil {
			specs[r.spec] = map[string]bool{}
		}
		specs[r.spec][r.model] = true
	}
	for path, models := range specs {
		p, err := pipeline.ParseSpec(filepath.Join("..", "..", path), stages.All, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Pipeline.Vars["captions_per_photo"]; got != strconv.Itoa(captions) {
			t.Errorf("%s: %s captions a photo, want %d", path, got, captions)
		}
		if got := p.Pipeline.Vars["train"]; got != strconv.Itoa(whole) {
			t.Errorf("%s: %s photos, want %d", path, got, whole)
		}
		for _, s := range p.Pipeline.Stages {
			if !models[s.Name] {
				continue
			}
			delete(models, s.Name)
			for name, want := range map[string]any{"batch": int64(batch), "epochs": float64(epochs), "validate_steps": int64(scoreSteps), "steps": int64(0)} {
				if got := s.Params[name]; got != want {
					t.Errorf("%s: %s of %s is %v, want %v", path, name, s.Name, got, want)
				}
			}
		}
		for name := range models {
			t.Errorf("%s has no stage %s", path, name)
		}
	}
}
