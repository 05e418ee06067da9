package spec

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/invopop/jsonschema"
)

// Schema returns a JSON Schema (draft 2020-12) of specs made of these kinds,
// for editors: what may stand where, with each parameter's help, range and
// default. What a schema cannot say (that stages exist, fit and go round in no
// circle) Load checks.
func Schema(kinds []Kind) ([]byte, error) {
	names := make([]any, len(kinds))
	stage := object(
		"kind", &jsonschema.Schema{Description: "which sort of stage does the work", Type: "string"},
		"in", &jsonschema.Schema{Description: "input port: the stage that its input comes from, as stage or stage@instance"},
		"with", &jsonschema.Schema{Type: "object", Description: "parameters of the kind"},
		"matrix", matrixSchema(),
		"resources", resourcesSchema(),
		"max_rejects", oneOf("how many items may be set aside before the stage fails: a share or a count",
			&jsonschema.Schema{Type: "string", Pattern: `^([0-9.]+%|.*\$\{.+)$`}, &jsonschema.Schema{Type: "integer", Minimum: "0"}),
		"shards", orVar(&jsonschema.Schema{Type: "integer", Minimum: "1", Maximum: json.Number(fmt.Sprint(maxShards)), Description: "parts that the items are cut into"}),
	)
	stage.Required = []string{"kind"}
	for i, k := range kinds {
		names[i] = k.Name
		then, err := kindSchema(k)
		if err != nil {
			return nil, fmt.Errorf("schema of kind %s: %w", k.Name, err)
		}
		is := object("kind", &jsonschema.Schema{Const: k.Name})
		is.AdditionalProperties, is.Required = nil, []string{"kind"}
		stage.AllOf = append(stage.AllOf, &jsonschema.Schema{If: is, Then: then})
	}
	kind, _ := stage.Properties.Get("kind")
	kind.Enum = names
	root := object(
		"version", &jsonschema.Schema{Const: 1, Description: "version of the language"},
		"vars", &jsonschema.Schema{
			Type: "object", Description: "values for ${name}; --set name=value replaces them",
			PropertyNames:        &jsonschema.Schema{Pattern: varName.String()},
			AdditionalProperties: &jsonschema.Schema{AnyOf: types("string", "number", "boolean", "null")},
		},
		"stages", &jsonschema.Schema{
			Type: "object", Description: "name: stage", MinProperties: ptr(1),
			PropertyNames:        &jsonschema.Schema{Pattern: varName.String()},
			AdditionalProperties: &jsonschema.Schema{Ref: "#/$defs/stage"},
		},
	)
	root.Version, root.Title = jsonschema.Version, "Hearsight pipeline"
	root.Required = []string{"version", "stages"}
	root.Definitions = jsonschema.Definitions{"stage": stage}
	out, err := json.MarshalIndent(root, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write schema: %w", err)
	}
	return append(out, '\n'), nil
}

// object returns a schema of a map with these fields, given as name, schema,
// name, schema, and no others.
func object(fields ...any) *jsonschema.Schema {
	s := &jsonschema.Schema{Type: "object", Properties: jsonschema.NewProperties(), AdditionalProperties: jsonschema.FalseSchema}
	for i := 0; i+1 < len(fields); i += 2 {
		name, _ := fields[i].(string)
		field, _ := fields[i+1].(*jsonschema.Schema)
		s.Properties.Set(name, field)
	}
	return s
}

func ptr(n uint64) *uint64 { return &n }

func types(names ...string) []*jsonschema.Schema {
	out := make([]*jsonschema.Schema, len(names))
	for i, n := range names {
		out[i] = &jsonschema.Schema{Type: n}
	}
	return out
}

func oneOf(doc string, of ...*jsonschema.Schema) *jsonschema.Schema {
	return &jsonschema.Schema{Description: doc, AnyOf: of}
}

// orVar is s, or a string with ${…} in it.
func orVar(s *jsonschema.Schema) *jsonschema.Schema {
	doc, def := s.Description, s.Default
	s.Description, s.Default = "", nil
	out := oneOf(doc, s, &jsonschema.Schema{Type: "string", Pattern: `\$\{.+`})
	out.Default = def
	return out
}

func matrixSchema() *jsonschema.Schema {
	value := &jsonschema.Schema{AnyOf: types("string", "number", "boolean")}
	values := &jsonschema.Schema{Type: "array", Items: value, MinItems: ptr(1)}
	return oneOf("the stage once for each of several settings",
		&jsonschema.Schema{Type: "object", Description: "every combination of the fields' values", MinProperties: ptr(1), AdditionalProperties: oneOf("", value, values)},
		&jsonschema.Schema{Type: "array", Description: "the instances; the first field names each", MinItems: ptr(1), Items: &jsonschema.Schema{Type: "object", MinProperties: ptr(1), AdditionalProperties: value}},
		&jsonschema.Schema{Type: "string", Description: "the stage whose matrix is repeated"})
}

func resourcesSchema() *jsonschema.Schema {
	s := object(
		"cpus", orVar(&jsonschema.Schema{Type: "integer", Minimum: "1", Maximum: json.Number(fmt.Sprint(maxCPUs)), Description: "cores"}),
		"memory", &jsonschema.Schema{Type: "string", Description: "what it counts for beside other stages, and the limit of each program that it starts, its children included, such as 8GiB"},
		"time", &jsonschema.Schema{Type: "string", Description: "limit, such as 12h"},
		"output", &jsonschema.Schema{Type: "string", Description: "limit of what each program that it starts prints, and of each file that it writes, such as 1GiB"},
	)
	s.Description = "what the stage may use; no result depends on it"
	return s
}

// kindSchema is what holds of a stage of kind k.
func kindSchema(k Kind) (*jsonschema.Schema, error) {
	in, with := object(), object()
	one := &jsonschema.Schema{Type: "string"}
	many := oneOf("", one, &jsonschema.Schema{Type: "array", Items: one, MinItems: ptr(1)})
	for _, p := range k.Ports {
		s := &jsonschema.Schema{Type: "string"}
		if p.Many {
			s = oneOf("", many.AnyOf...)
		}
		s.Description = strings.TrimSpace(p.Doc + ofTypes(p))
		in.Properties.Set(p.Name, s)
		if !p.Optional {
			in.Required = append(in.Required, p.Name)
		}
	}
	for _, p := range k.Params {
		s, err := paramSchema(p)
		if err != nil {
			return nil, err
		}
		with.Properties.Set(p.Name, s)
		if p.Required {
			with.Required = append(with.Required, p.Name)
		}
	}
	out := &jsonschema.Schema{Description: k.Doc, Properties: jsonschema.NewProperties()}
	input := in
	if len(k.Ports) == 1 {
		short := one
		if k.Ports[0].Many {
			short = many
		}
		input = oneOf("", in, short)
	}
	out.Properties.Set("in", input)
	out.Properties.Set("with", with)
	if len(in.Required) > 0 {
		out.Required = append(out.Required, "in")
	}
	if len(with.Required) > 0 {
		out.Required = append(out.Required, "with")
	}
	if !k.Items {
		out.Properties.Set("shards", jsonschema.FalseSchema)
	}
	return out, nil
}

var schemaTypes = map[string]string{
	"string": "string", "bool": "boolean", "int": "integer", "float": "number",
	"duration": "string", "bytes": "string", "map": "object",
}

func paramSchema(p Param) (*jsonschema.Schema, error) {
	doc := p.Doc
	if p.Unit != "" {
		doc += ", in " + p.Unit
	}
	if len(p.Type) > 2 && p.Type[:2] == "[]" {
		elem := p
		elem.Type, elem.Doc, elem.Unit, elem.Default = p.Type[2:], "", "", nil
		items, err := paramSchema(elem)
		if err != nil {
			return nil, err
		}
		return &jsonschema.Schema{Type: "array", Description: doc, Items: items, Default: p.Default}, nil
	}
	t, ok := schemaTypes[p.Type]
	if !ok {
		return nil, fmt.Errorf("parameter %s has an unknown type %q", p.Name, p.Type)
	}
	s := &jsonschema.Schema{Type: t, Description: doc, Default: p.Default}
	if t == "integer" || t == "number" {
		if p.Min != nil {
			s.Minimum = json.Number(number(*p.Min))
		}
		if p.Max != nil {
			s.Maximum = json.Number(number(*p.Max))
		}
	}
	for _, e := range p.Enum {
		s.Enum = append(s.Enum, e)
		if e == "true" || e == "false" { // the word, also when YAML takes it for a boolean
			s.Enum, s.Type = append(s.Enum, e == "true"), ""
		}
	}
	if t == "object" || t == "string" && len(p.Enum) == 0 {
		return s, nil
	}
	return orVar(s), nil
}
