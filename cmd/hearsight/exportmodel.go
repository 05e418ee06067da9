package main

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/dataset"
	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/pipeline"
	modelstage "github.com/hearsight/hearsight/stages/model"
	"github.com/spf13/cobra"
)

func (a *app) exportCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "export MODEL FOLDER",
		Short: "Write a model as safetensors and JSON, for PyTorch or another machine",
		Long: "Checks the model that a stage made and writes it as two files, model.json and model.safetensors. docs/load_model.py runs them in PyTorch;\n" +
			"a stage of kind model with root: FOLDER brings them in again, and `hearsight export FOLDER/ OTHER/` (told by a slash) checks and copies files from elsewhere.",
		Example:           "  hearsight export model out/\n  hearsight export model@VGG16_5 out/\n  hearsight export theirs/ checked/",
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: a.completeStages,
		RunE: func(c *cobra.Command, args []string) error {
			if isFolder(args[0]) {
				m, err := modelstage.Open(args[0])
				if err != nil {
					return err
				}
				return a.exportModel(m, args[1])
			}
			return a.planned(c.Context(), pipeline.Selection{Targets: args[:1]}, func(p *pipeline.Plan, _ *artifacts.Store) error {
				art, err := result(p, args[0])
				if err != nil {
					return err
				}
				if art.Manifest.Type != "model" {
					return usagef("%s is of type %s, not a model: `hearsight get` copies any result", args[0], art.Manifest.Type)
				}
				m, err := dataset.LoadModel(art)
				if err != nil {
					return fmt.Errorf("%s: %w", args[0], err)
				}
				return a.exportModel(m, args[1])
			})
		},
	}
}

// exportedJSON is what export prints with --json.
type exportedJSON struct {
	Parameters int               `json:"parameters"`
	Files      map[string]string `json:"files"` // name -> sha256:…
}

// exportModel writes the weights first: a model.json has its weights beside it.
func (a *app) exportModel(m *model.Model[float32], dir string) error {
	if err := writeWith(filepath.Join(dir, modelstage.WeightsFile), m.WriteWeights); err != nil {
		return fmt.Errorf("export model: %w", err)
	}
	if err := writeWith(filepath.Join(dir, modelstage.ConfigFile), m.WriteConfig); err != nil {
		return fmt.Errorf("export model: %w", err)
	}
	out := exportedJSON{Parameters: m.Size(), Files: map[string]string{}}
	for _, name := range []string{modelstage.ConfigFile, modelstage.WeightsFile} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		out.Files[name] = fmt.Sprintf("sha256:%x", sha256.Sum256(b))
		if !a.json {
			fmt.Fprintf(a.stdout, "%s %s\n", name, out.Files[name])
		}
	}
	if a.json {
		return a.printJSON(out)
	}
	fmt.Fprintf(a.stdout, "%s and %s, %d parameters, in %s\n", m.Image.Name, m.Audio.Name, m.Size(), strings.TrimRight(dir, "/"))
	return nil
}
