package spec

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestSchemaGolden holds the schema of the test's kinds to what was reviewed;
// that editors' validators take it, and accept and refuse the right specs, was
// tried with Python's jsonschema.
func TestSchemaGolden(t *testing.T) {
	got, err := Schema(testKinds())
	if err != nil {
		t.Fatal(err)
	}
	const golden = "testdata/schema.json"
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("schema (-want +got):\n%s", d)
	}
	again, err := Schema(testKinds())
	if err != nil || !bytes.Equal(got, again) {
		t.Errorf("a second schema differs: %v", err)
	}
}

func TestSchemaOfKinds(t *testing.T) {
	text, err := Schema(testKinds())
	if err != nil {
		t.Fatal(err)
	}
	var s struct {
		Schema string `json:"$schema"`
		Defs   struct {
			Stage struct {
				Properties struct {
					Kind struct{ Enum []string }
				}
				AllOf []struct {
					If struct {
						Properties struct{ Kind struct{ Const string } }
					}
					Then struct {
						Properties struct {
							With struct {
								Properties map[string]json.RawMessage
								Required   []string
							}
						}
					}
				} `json:"allOf"`
			}
		} `json:"$defs"`
	}
	if err := json.Unmarshal(text, &s); err != nil {
		t.Fatal(err)
	}
	if s.Schema != "https://json-schema.org/draft/2020-12/schema" {
		t.Errorf("$schema: %s", s.Schema)
	}
	for i, k := range testKinds() {
		rule := s.Defs.Stage.AllOf[i]
		if s.Defs.Stage.Properties.Kind.Enum[i] != k.Name || rule.If.Properties.Kind.Const != k.Name {
			t.Errorf("kind %d: %q and %q, want %q", i, s.Defs.Stage.Properties.Kind.Enum[i], rule.If.Properties.Kind.Const, k.Name)
		}
		for _, p := range k.Params {
			if rule.Then.Properties.With.Properties[p.Name] == nil {
				t.Errorf("kind %s: no parameter %s", k.Name, p.Name)
			}
		}
	}
	if _, err := Schema([]Kind{{Name: "x", Params: []Param{{Name: "p", Type: "complex"}}}}); err == nil {
		t.Error("a parameter of an unknown type: no error")
	}
}
