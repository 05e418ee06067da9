package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/hearsight/hearsight/spec"
	"github.com/hearsight/hearsight/stages"
	"github.com/hearsight/hearsight/stages/stage"
	"github.com/spf13/cobra"
)

func kindSpecs() []spec.Kind {
	out := make([]spec.Kind, len(stages.All))
	for i, k := range stages.All {
		out[i] = k.Spec()
	}
	return out
}

func (a *app) stagesCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "stages [KIND]",
		Short:             "List the kinds of stage, or one with its inputs and parameters",
		Example:           "  hearsight stages\n  hearsight stages mfcc",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeKinds,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return a.listKinds()
			}
			for _, k := range stages.All {
				if k.Name == args[0] {
					return a.showKind(k)
				}
			}
			return usagef("no kind %q: `hearsight stages` lists them", args[0])
		},
	}
}

func completeKinds(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
	var out []string
	for _, k := range stages.All {
		out = append(out, k.Name+"\t"+k.Doc)
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

func (a *app) listKinds() error {
	if a.json {
		return a.printJSON(kindSpecsJSON())
	}
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, k := range stages.All {
		fmt.Fprintf(w, "%s\t%s\n", k.Name, k.Doc)
	}
	return w.Flush()
}

// kindJSON is a kind as `--json` shows it.
type kindJSON struct {
	Name    string      `json:"name"`
	Doc     string      `json:"doc"`
	Version int         `json:"version"`
	Output  string      `json:"output"`
	Inputs  []portJSON  `json:"inputs"`
	Params  []paramJSON `json:"params"`
}

type portJSON struct {
	Name     string   `json:"name"`
	Types    []string `json:"types,omitempty"`
	Optional bool     `json:"optional,omitempty"`
	Many     bool     `json:"many,omitempty"`
}

type paramJSON struct {
	Name    string          `json:"name"`
	Type    string          `json:"type"`
	Default json.RawMessage `json:"default"`
	Unit    string          `json:"unit,omitempty"`
	Enum    []string        `json:"enum,omitempty"`
	Doc     string          `json:"doc"`
}

func kindSpecsJSON() []kindJSON {
	var out []kindJSON
	for _, k := range stages.All {
		j := kindJSON{Name: k.Name, Doc: k.Doc, Version: k.Version, Output: k.Output}
		for _, p := range k.Inputs {
			j.Inputs = append(j.Inputs, portJSON{p.Name, p.Types, p.Optional, p.Many})
		}
		for _, p := range k.Params() {
			j.Params = append(j.Params, paramJSON{p.Name, p.Type, defaultJSON(p), p.Unit, p.Enum, p.Doc})
		}
		out = append(out, j)
	}
	return out
}

func defaultJSON(p spec.Param) json.RawMessage {
	b, err := json.Marshal(p.Default)
	if err != nil {
		return json.RawMessage("null")
	}
	return b
}

func (a *app) showKind(k stage.Kind) error {
	if a.json {
		for _, j := range kindSpecsJSON() {
			if j.Name == k.Name {
				return a.printJSON(j)
			}
		}
	}
	fmt.Fprintf(a.stdout, "%s: %s (version %d, makes %s)\n\ninputs\n", k.Name, k.Doc, k.Version, k.Output)
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	if len(k.Inputs) == 0 {
		fmt.Fprintln(w, "  none")
	}
	for _, p := range k.Inputs {
		fmt.Fprintf(w, "  %s\t%s\t%s\n", p.Name, portTypes(p), p.Doc)
	}
	fmt.Fprintln(w, "\nparameters")
	for _, p := range k.Params() {
		fmt.Fprintf(w, "  %s\t%s\t%s\n", p.Name, paramType(p), p.Doc)
	}
	return w.Flush()
}

func portTypes(p stage.Input) string {
	t := strings.Join(p.Types, " | ")
	if t == "" {
		t = "anything"
	}
	if p.Many {
		t += ", several"
	}
	if p.Optional {
		t += ", optional"
	}
	return t
}

func paramType(p spec.Param) string {
	t := p.Type
	if len(p.Enum) > 0 {
		t = strings.Join(p.Enum, " | ")
	}
	if p.Path != "" {
		t = p.Path + " path"
	}
	if p.Unit != "" {
		t += " in " + p.Unit
	}
	if p.Required {
		return t + ", required"
	}
	return fmt.Sprintf("%s, %s", t, defaultJSON(p))
}

func (a *app) schemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "schema",
		Short:   "Print the JSON Schema of a spec, for editors",
		Long:    "Prints the JSON Schema of a spec. Editors with a YAML language server complete and check a spec that begins with\n\n  # yaml-language-server: $schema=hearsight.schema.json",
		Example: "  hearsight schema > hearsight.schema.json",
		RunE: func(*cobra.Command, []string) error {
			b, err := spec.Schema(kindSpecs())
			if err != nil {
				return err
			}
			_, err = io.WriteString(a.stdout, strings.TrimRight(string(b), "\n")+"\n")
			return err
		},
	}
}
