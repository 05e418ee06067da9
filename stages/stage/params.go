package stage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/hearsight/hearsight/spec"
)

// Fields describes the parameters that the struct def holds, with def's values
// as their defaults. Every exported field is a parameter; its tags say the
// rest:
//
//	json:"fft_size"     its name in a spec
//	doc:"…"             one line of help
//	enum:"a,b"          the values allowed
//	min:"1" max:"60"    inclusive bounds of a number
//	unit:"Hz"           unit of a number, for help and the schema
//	path:"file"         the value names an external input: file, dir or any
//	required:"true"     must be given
//	free:"true"         changes how the work goes, never its result: not in the key
//	type:"duration"     a string read as a duration ("90s") or as "bytes" ("8GiB")
func Fields(def any) ([]spec.Param, error) {
	v := reflect.ValueOf(def)
	if v.Kind() != reflect.Struct {
		return nil, fmt.Errorf("parameters are a %T, not a struct", def)
	}
	var out []spec.Param
	for i := range v.NumField() {
		p, err := field(v.Type().Field(i), v.Field(i))
		if err != nil {
			return nil, err
		}
		out = append(out, p)
	}
	return out, nil
}

func field(f reflect.StructField, v reflect.Value) (spec.Param, error) {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	if name == "" || name == "-" {
		return spec.Param{}, fmt.Errorf("field %s has no json name", f.Name)
	}
	p := spec.Param{
		Name: name, Doc: f.Tag.Get("doc"), Unit: f.Tag.Get("unit"), Path: f.Tag.Get("path"),
		Required: f.Tag.Get("required") == "true", Free: f.Tag.Get("free") == "true", Default: v.Interface(), Type: f.Tag.Get("type"),
	}
	if p.Doc == "" {
		return p, fmt.Errorf("parameter %s has no doc", name)
	}
	if p.Type == "" {
		t, err := typeName(f.Type)
		if err != nil {
			return p, fmt.Errorf("parameter %s: %w", name, err)
		}
		p.Type = t
	}
	if e := f.Tag.Get("enum"); e != "" {
		p.Enum = strings.Split(e, ",")
	}
	for tag, bound := range map[string]**float64{"min": &p.Min, "max": &p.Max} {
		if s := f.Tag.Get(tag); s != "" {
			x, err := strconv.ParseFloat(s, 64)
			if err != nil {
				return p, fmt.Errorf("parameter %s: %s: %w", name, tag, err)
			}
			*bound = &x
		}
	}
	return p, nil
}

func typeName(t reflect.Type) (string, error) {
	switch t.Kind() {
	case reflect.String:
		return "string", nil
	case reflect.Bool:
		return "bool", nil
	case reflect.Int, reflect.Int32, reflect.Int64:
		return "int", nil
	case reflect.Float32, reflect.Float64:
		return "float", nil
	case reflect.Slice:
		e, err := typeName(t.Elem())
		return "[]" + e, err
	case reflect.Map:
		return "map", nil
	}
	return "", fmt.Errorf("type %s cannot be a parameter", t)
}

// A Presetter is a parameter struct P in which one parameter decides what others
// are by default. Preset returns the defaults that go with the receiver, which
// holds what a spec gives; what it gives counts for more than they do.
type Presetter[P any] interface{ Preset() P }

// canonical lays raw over def, or over what a Presetter makes of both, and writes
// the result as JSON. encoding/json sorts the keys of maps and writes 2 and 2.0
// alike once they are decoded into a field of one type, which is what makes the
// bytes canonical.
func canonical[P any](def P, raw map[string]any) ([]byte, error) {
	given, err := json.Marshal(raw)
	if err != nil {
		return nil, err
	}
	p, err := lay(given, def)
	if err != nil {
		return nil, err
	}
	if pre, ok := any(p).(Presetter[P]); ok {
		if p, err = lay(given, pre.Preset()); err != nil {
			return nil, err
		}
	}
	full, err := marshal(p)
	if err != nil {
		return nil, err
	}
	var sorted map[string]json.RawMessage
	if err := json.Unmarshal(full, &sorted); err != nil {
		return nil, err
	}
	return marshal(sorted)
}

// lay returns def with what given, a JSON object, says in its place.
func lay[P any](given []byte, def P) (P, error) {
	p, err := clone(def)
	if err != nil {
		return p, err
	}
	d := json.NewDecoder(bytes.NewReader(given))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return p, fmt.Errorf("parameters: %w", err)
	}
	return p, nil
}

// marshal is json.Marshal with < and > as they are: people read descriptions.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), err
}

// clone copies def so that decoding over it cannot write into its slices.
func clone[P any](def P) (P, error) {
	var p P
	b, err := json.Marshal(def)
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	return p, err
}

func parse[P any](canonical []byte) (P, error) {
	var p P
	d := json.NewDecoder(bytes.NewReader(canonical))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return p, fmt.Errorf("parameters: %w", err)
	}
	return p, nil
}
