// Package similarity says how well pictures and clips match by a model.
//
// A [Scorer] computes the similarity of every picture with every clip, a block
// at a time, as a matrix that package retrieval ranks: each picture and each clip
// goes through its tower once. A score does not depend on what else is scored.
//
// A [Matchmap] shows what a similarity is made of, place by place and step by
// step.
package similarity
