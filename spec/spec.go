package spec

import (
	"fmt"
	"time"
)

// A Pos is a place in a spec file. Lines and columns count from 1.
type Pos struct {
	File   string
	Line   int
	Column int
}

func (p Pos) String() string { return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Column) }

// A Pipeline is a checked spec with its variables filled in and its matrices
// expanded: plain data, ready to be planned.
type Pipeline struct {
	Path   string            // the file it came from
	Vars   map[string]string // every variable with its final value, as text
	Stages []Stage           // in the order of the document; instances in the order of their matrix
}

// A Stage is one instance of a stage: of `features` with a matrix over towers
// there is one Stage for each tower.
type Stage struct {
	Name       string              // "features@vgg16"; without a matrix the same as Base
	Base       string              // "features"
	Kind       string              // "features": which sort of stage does the work
	Inputs     map[string][]string // input port -> names of stage instances, as ordered in the spec
	Params     map[string]any      // `with`, checked against the kind: string, bool, int64, float64, []any, map[string]any
	Matrix     map[string]string   // this instance's matrix fields
	Resources  Resources
	MaxRejects MaxRejects
	Shards     int // shards of a per-item stage; 0 means the default
	Pos        Pos
	ParamPos   map[string]Pos // where each given parameter stands
}

// Resources are what a stage may use. They never change a result.
type Resources struct {
	CPUs int // 0: as the kind says
	// MemoryBytes is what the stage counts for in the run's budget, and the
	// limit of each program that it starts, with that program's children. 0: no
	// statement.
	MemoryBytes int64
	Time        time.Duration // 0: no limit
	// OutputBytes is the most that each program which the stage starts may
	// print, on stdout and stderr each, and write into one file. 0: no limit of
	// the spec's.
	OutputBytes int64
}

// MaxRejects is how many items a stage may set aside: a share or a count.
// The zero value is the default, 1 % but never less than one item.
type MaxRejects struct {
	Share float64 // 0..1
	Count int64
	Given bool
	IsCnt bool // Count holds, not Share
}

// Limit returns how many of items may be rejected.
func (m MaxRejects) Limit(items int64) int64 {
	switch {
	case !m.Given:
		return max(1, items/100)
	case m.IsCnt:
		return m.Count
	}
	return int64(m.Share * float64(items))
}

// A Kind is what the spec's checks need to know of one sort of stage. It is
// plain data so that this package need not know the stages.
type Kind struct {
	Name   string
	Doc    string
	Ports  []Port
	Output string // type of the artifact it makes
	Items  bool   // works item by item, so shards and max_rejects apply
	Params []Param
	// Check looks at the complete parameters, after types, ranges and enums
	// have been checked, and returns what is wrong between them. It may be nil.
	Check func(params map[string]any) []ParamProblem
}

// A Port is a named input of a kind.
type Port struct {
	Name     string
	Doc      string
	Types    []string // artifact types it takes; empty: any
	Optional bool
	Many     bool // takes a list of stages, or all instances of one
}

// A Param is one parameter of a kind.
type Param struct {
	Name     string
	Doc      string
	Type     string // "string", "bool", "int", "float", "duration", "bytes", "[]string", "[]int", "[]float", "map"
	Enum     []string
	Default  any      // in the JSON form of its type
	Min, Max *float64 // inclusive; nil: no bound
	Unit     string   // "Hz", "samples", …: for messages and the schema
	Path     string   // "file", "dir" or "any": the value names an external input
	Required bool
	Free     bool // changes how the work goes, never its result: not in the key
}

// A ParamProblem is what is wrong with one parameter.
type ParamProblem struct {
	Param   string
	Message string
}
