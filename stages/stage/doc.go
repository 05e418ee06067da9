// Package stage says what a stage is: the contract between those who write
// stages and the package that runs them.
//
// A stage turns artifacts into one artifact. A Kind says what it takes (named
// input ports, parameters with defaults), what it makes (an artifact type) and
// how. There are two sorts of body. New takes a function that does the whole
// of the work. NewItems takes a description of work that goes item by item:
// how to list the items, how to make one row from one item, and the table the
// rows are kept in. The runner then cuts the items into shards by a hash of
// their ids, makes only rows whose inputs changed, takes the others over from
// the last result, sets bad items aside, and goes on after an interruption
// where it was.
//
// A stage sees a Task and nothing else of the machine. It names no path of the
// store, looks at no clock and no environment, and gives the same bytes for
// the same inputs on any number of cores: its result is found again by a key
// made of its kind, version, parameters, inputs and tools, and whatever else
// it depended on would be missing there.
package stage
