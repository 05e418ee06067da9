// Package nn holds the layers that Hearsight's networks are made of, as
// operations of Gorgonia's expression graph.
//
// # The idea
//
// Gorgonia gives us what it is good at: a graph of typed, shaped nodes,
// symbolic differentiation, a machine that runs the graph as a tape, and the
// Solver interface. Its own numeric kernels are an order of magnitude too slow
// for convolutions, so every operation here brings its own, from
// internal/kernel, both for the forward pass and, as further nodes that SymDiff
// adds to the graph, for each gradient.
//
// A network is written down with a [Graph]: inputs, parameters, layers, a
// similarity and a loss. [Graph.Compile] differentiates the loss by every
// parameter and gives a [Machine]; one Run is a forward and a backward pass.
// The parameters' values live outside the graph, in [Param], so that many
// graphs (one for each length of a minibatch) train the same weights, and an
// [Optimizer], one of Gorgonia's solvers, steps them:
//
//	ws := nn.NewWorkspace[float32]()
//	g := nn.NewGraph(ws, true)
//	x := g.Input("x", 4, 1024, 40)
//	h := g.Conv1D(x, g.Param(w), g.Param(b), nn.Conv1D{Stride: 1, Pad: 5, ReLU: true})
//	…
//	m, err := g.Compile(loss)
//	copy(m.Data(x), frames)
//	err = m.Run()
//	err = optimizer.Step(m.Grads())
//
// # What holds
//
// Layout is channels last: images [n][h][w][c], sound [n][t][c]; weights are
// [kh][kw][in][out], [k][in][out], [in][out], those of a recurrent layer
// [in][gates*hidden].
//
// Only what leads to a parameter is differentiated: frozen features and the
// input frames get no gradient node at all.
//
// Every operation writes into a buffer of the Workspace that stays from run to
// run and is shared by all graphs over it, so a training step allocates next to
// nothing and the number of graphs costs no memory. Graphs over one workspace
// must therefore not run at once, and a value is good until the next Run.
//
// Results depend on inputs, shapes and the numeric path alone, never on
// GOMAXPROCS. T is float32 for work and float64 for the tests that compare
// gradients with finite differences.
//
// Gorgonia reports misuse by panics, partly in goroutines of its own. They end
// here: building errors are kept and returned by Compile, running errors by
// Run.
package nn
