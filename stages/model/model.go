// Package model brings in a model from elsewhere: the two files that
// `hearsight export` writes, model.json and model.safetensors, from another
// store, another machine or another program.
//
// A model is data and nothing in it is run. All of it is checked before it is
// taken: sizes, layers, every tensor's name, shape, type and values. What is
// wrong is an error that names it. The model is written anew, so that the same
// model is the same artifact, whoever wrote the files.
package model

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/hearsight/hearsight/internal/model"
	"github.com/hearsight/hearsight/stages/stage"
)

// Kind brings in a model.
var Kind = stage.New(stage.Kind{
	Name:    "model",
	Doc:     "bring in a model that was exported, here or elsewhere",
	Version: 1,
	Output:  "model",
}, Params{}, run)

// Params are the parameters of Kind.
type Params struct {
	Root string `json:"root" doc:"the folder of model.json and model.safetensors" path:"dir" required:"true"`
}

func run(ctx context.Context, t *stage.Task, _ Params) error {
	m, err := Open(t.Paths["root"])
	if err != nil {
		return err
	}
	none := func(err error) (int64, error) { return 0, err }
	if err := t.Write(ctx, ConfigFile, model.Format, func(w io.Writer) (int64, error) { return none(m.WriteConfig(w)) }); err != nil {
		return err
	}
	return t.Write(ctx, WeightsFile, model.WeightsFormat, func(w io.Writer) (int64, error) { return none(m.WriteWeights(w)) })
}

// The files of a model.
const (
	ConfigFile  = "model.json"
	WeightsFile = "model.safetensors"
)

// maxWeights bounds model.safetensors: 500 million parameters in float32.
const maxWeights = 2 << 30

// Open loads the model whose files are in dir.
func Open(dir string) (*model.Model[float32], error) {
	config, err := read(filepath.Join(dir, ConfigFile), model.MaxConfig)
	if err != nil {
		return nil, err
	}
	weights, err := read(filepath.Join(dir, WeightsFile), maxWeights)
	if err != nil {
		return nil, err
	}
	m, err := model.Load(config, weights)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	return m, nil
}

// read reads a regular file of at most so many bytes, also if it grows.
func read(path string, most int64) (b []byte, err error) {
	info, err := os.Stat(path) // before it is opened: a named pipe would not be
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fmt.Errorf("%s is missing: a model is the two files %s and %s, as `hearsight export` writes them", path, ConfigFile, WeightsFile)
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file", path)
	case info.Size() > most:
		return nil, fmt.Errorf("%s is over the limit of %d bytes", path, most)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if b, err = io.ReadAll(io.LimitReader(f, most+1)); err == nil && int64(len(b)) > most {
		err = fmt.Errorf("%s is over the limit of %d bytes", path, most)
	}
	return b, err
}
