// Package learn trains models.
//
// # The idea
//
// Training sees pairs of a picture and a clip that describes it ([Data]). Each
// step takes a minibatch from the sampler, runs forward and backward through
// the two towers, and moves the weights by an optimizer, all as the [Settings]
// say: the paper's Adam and mean hinge, or another. Nothing in it is random at
// run time: the order of pairs follows from (seed, epoch); the impostors that a
// loss draws, what dropouts drop, the frames and places that a step does not see,
// from (seed, step); the look of a picture ([Options].View) from the epoch and its
// pair; the initial weights from the seed and their
// names, the learning rate from the step. So a [Train] that was killed goes on
// from its last checkpoint and ends with the same bytes as one that was not, on
// any number of cores.
//
//	r, err := learn.Train(ctx, spec, data, settings, learn.Options{Dir: dir, Progress: show})
//	r.Model.WriteWeights(w)
//
// The model that is left is the last, or the one that scored best on the
// development pairs; its weights are those of training, or their mean over time.
//
// The order of pairs and what is drawn for a step are package minibatch's; the
// scores on development pairs come from packages similarity and retrieval.
//
// What watches a run (loss, rate, pairs a second, P@k on development pairs)
// comes through [Options].Progress; [EventWriter] turns it into TensorBoard's
// files. Clocks are used there and for the time between checkpoints, never in a
// result.
package learn
