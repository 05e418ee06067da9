// Package minibatch is what a step of training sees: pairs of a picture and a
// clip, which of them, in which order, and how they differ from the data.
//
// # The idea
//
// A [Pair] is a picture and a clip that describes it; [Clips] and [Images] give
// their contents, [PutClip] and [PutImage] write those into a model's input. A
// [Sampler] gives the pairs of every step: all pairs once an epoch, or each photo
// once with one of its captions in turn, near clips of one length where asked
// for. A minibatch never holds two captions of one picture: they would be each
// other's wrong answers. A [Perturb] draws which frames and places a step does not
// see, [Impostors] which wrong answers a loss looks at.
//
// Nothing here has a memory: what a step sees follows from the seed and the
// number of the step alone, each kind of draw from a stream of its own. So a run
// that was interrupted goes on with the pairs it would have had.
package minibatch
