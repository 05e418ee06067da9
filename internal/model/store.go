package model

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/hearsight/hearsight/internal/nn"
)

// Format names the layout of model.json and of the tensors: channels last,
// weights [kh][kw][in][out], [k][in][out] and [in][out], batch norm's weight,
// bias, running_mean and running_var by channel; of recurrent layers weight_ih
// [in][gates*hidden], weight_hh [hidden][gates*hidden], bias_ih and bias_hh,
// gates i f g o or r z n, and the same with _reverse.
const Format = "hearsight.model/1"

// WeightsFormat names the layout of model.safetensors.
const WeightsFormat = "hearsight.weights/1"

// MaxConfig bounds the bytes of model.json.
const MaxConfig = 1 << 20

type configFile struct {
	Format     string `json:"format"`
	Parameters int    `json:"parameters"`
	Spec
}

// WriteConfig writes model.json.
func (m *Model[T]) WriteConfig(w io.Writer) error {
	b, err := json.MarshalIndent(configFile{Format: Format, Parameters: m.Size(), Spec: m.Spec}, "", "  ")
	if err != nil {
		return fmt.Errorf("write model.json: %w", err)
	}
	_, err = w.Write(append(b, '\n'))
	return err
}

// WriteWeights writes model.safetensors.
func (m *Model[T]) WriteWeights(w io.Writer) error {
	var tensors []namedTensor
	for _, p := range m.Params() {
		tensors = append(tensors, namedTensor{p.Name, p.Shape, float32s(p.W)})
	}
	for _, s := range m.Stats() {
		shape := []int{len(s.Mean)}
		tensors = append(tensors, namedTensor{s.Name + ".running_mean", shape, float32s(s.Mean)},
			namedTensor{s.Name + ".running_var", shape, float32s(s.Var)})
	}
	return writeTensors(w, tensors, map[string]string{"format": Format})
}

// TakeFrom gives m the values of those tensors that other has by the same name
// and shape, running statistics with their norm. It lists those that keep their
// values, sorted, and counts all of m's.
func (m *Model[T]) TakeFrom(other *Model[T]) (kept []string, all int) {
	params, stats := map[string]*nn.Param[T]{}, map[string]*nn.Stats[T]{}
	for _, p := range other.Params() {
		params[p.Name] = p
	}
	for _, s := range other.Stats() {
		stats[s.Name] = s
	}
	for _, p := range m.Params() {
		all++
		if o := params[p.Name]; o != nil && slices.Equal(o.Shape, p.Shape) {
			copy(p.W, o.W)
			continue
		}
		kept = append(kept, p.Name)
	}
	for _, s := range m.Stats() {
		all++
		if o := stats[s.Name]; o != nil && len(o.Mean) == len(s.Mean) {
			copy(s.Mean, o.Mean)
			copy(s.Var, o.Var)
			continue
		}
		kept = append(kept, s.Name+" statistics")
	}
	slices.Sort(kept)
	return kept, all
}

func float32s[T nn.Float](x []T) []float32 {
	out := make([]float32, len(x))
	for i, v := range x {
		out[i] = float32(v)
	}
	return out
}

// ReadSpec returns what a model.json says, which is not checked, and how many
// parameters it claims.
func ReadSpec(config []byte) (s Spec, parameters int, err error) {
	var c configFile
	if err := json.Unmarshal(config, &c); err != nil {
		return s, 0, fmt.Errorf("model.json: %w", err)
	}
	return c.Spec, c.Parameters, nil
}

// Load makes a model from the bytes of model.json and model.safetensors, which
// may be anybody's. All that is wrong with the tensors is in one error: those
// that are missing, of another shape or type, or hold what is no finite number.
func Load(config, weights []byte) (*Model[float32], error) {
	if len(config) > MaxConfig {
		return nil, fmt.Errorf("load model: model.json of %d bytes is over the limit of %d", len(config), MaxConfig)
	}
	var c configFile
	dec := json.NewDecoder(bytes.NewReader(config))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return nil, fmt.Errorf("load model: model.json: %w", err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("load model: model.json: there is more in it than one object")
	}
	if c.Format != Format {
		return nil, fmt.Errorf("load model: model.json has format %q, want %s", c.Format, Format)
	}
	if err := c.Spec.Check(); err != nil {
		return nil, fmt.Errorf("load model: %w", err)
	}
	tensors, err := ParseTensors(weights)
	if err != nil {
		return nil, fmt.Errorf("load model: %w", err)
	}
	// The tensors exist, so a model no larger than they are may be made.
	if n := sizeOf(c.Image) + sizeOf(c.Audio); 2*int64(n) > int64(len(weights)) { // float16 at the least
		return nil, fmt.Errorf("load model: %d parameters in %d bytes of weights", n, len(weights))
	}
	m, err := blank[float32](c.Spec)
	if err != nil {
		return nil, fmt.Errorf("load model: %w", err)
	}
	if err := m.take(tensors); err != nil {
		return nil, fmt.Errorf("load model: %w", err)
	}
	return m, nil
}

func (m *Model[T]) take(tensors *Tensors) error {
	var wrong []string
	used := 0
	get := func(dst []T, name string, shape ...int) {
		used++
		v, err := tensors.Float32(name, shape...)
		if err != nil {
			wrong = append(wrong, err.Error())
			return
		}
		for i, x := range v {
			if !finite(float64(x)) {
				wrong = append(wrong, fmt.Sprintf("%s holds %v at %d", name, x, i))
				return
			}
			dst[i] = T(x)
		}
	}
	for _, p := range m.Params() {
		get(p.W, p.Name, p.Shape...)
	}
	for _, s := range m.Stats() {
		get(s.Mean, s.Name+".running_mean", len(s.Mean))
		get(s.Var, s.Name+".running_var", len(s.Var))
		if slices.ContainsFunc(s.Var, func(v T) bool { return v < 0 }) {
			wrong = append(wrong, s.Name+".running_var holds a negative variance")
		}
	}
	if len(wrong) == 0 && used != len(tensors.Names()) {
		wrong = append(wrong, fmt.Sprintf("%d tensors, want %d", len(tensors.Names()), used))
	}
	if len(wrong) > 0 {
		return errors.New("tensors do not fit: " + strings.Join(wrong, "; "))
	}
	return nil
}
