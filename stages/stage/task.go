package stage

import (
	"context"
	"io"
	"time"

	"github.com/hearsight/hearsight/artifacts"
)

// A Task is one run of a stage: its inputs, its output and its place to work.
// Nothing else of the machine is a stage's business.
type Task struct {
	Stage  string                           // instance name, for messages
	Inputs map[string][]*artifacts.Artifact // port -> artifacts, in the order of the spec
	Paths  map[string]string                // path parameter -> where the external input lies; hashed already
	// Dir is a folder of this action's own, kept until the action is
	// committed: what an interrupted attempt left there is still in it. Empty
	// while a per-item stage lists its items.
	Dir string
	// RunDir is a folder of this run and stage for what people watch: metrics
	// over time, TensorBoard events, what programs print. Clocks are allowed
	// there, and nothing in it is a result. Who first writes there makes it.
	// Empty: nobody watches.
	RunDir string
	// CPUs is how many cores the task may keep busy. It must not change a byte.
	CPUs int
	// Numeric is the numeric path the results are made on.
	Numeric string
	// Now tells the time to what people watch and between checkpoints. Nothing
	// of it may reach a result. nil: there is no clock.
	Now func() time.Time
	// Report tells whoever watches how far the task is. Never nil.
	Report func(Progress)

	Out Output
}

// Output takes what a stage makes.
type Output interface {
	// Create begins the part called name. Closing the Part commits it to the
	// task's output; what is not closed does not exist.
	Create(name, schema string) (Part, error)
	// Reject sets an item aside, for stages that do not work item by item.
	Reject(item, reason string)
}

// A Part is a named file being written. Rows and the digest are recorded when
// it is closed.
type Part interface {
	io.WriteCloser
	SetRows(n int64)
}

// Progress is how far a task is.
type Progress struct {
	Done, Total int64
	Unit        string   // "items", "steps"
	Metrics     []Metric // latest values, in the order to show them
	Message     string   // something a person should read, once
	Warning     bool     // the message is a warning
}

// A Metric is a named number: loss, rate, P@10.
type Metric struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
}

// Input returns the only artifact at a port, or nil for an optional one left out.
func (t *Task) Input(port string) *artifacts.Artifact {
	if in := t.Inputs[port]; len(in) > 0 {
		return in[0]
	}
	return nil
}

// Write makes a whole part from what fill writes.
func (t *Task) Write(ctx context.Context, name, schema string, fill func(w io.Writer) (rows int64, err error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p, err := t.Out.Create(name, schema)
	if err != nil {
		return err
	}
	n, err := fill(p)
	if err != nil {
		return err
	}
	p.SetRows(n)
	return p.Close()
}
