// Package retrieval says of a matrix of similarities how well queries find what
// belongs to them, and how far that can be trusted.
//
// A [Set] is photos, captions and their similarities, from a model of ours or
// from anywhere ([ReadMatrix]). [Set.Evaluate] ranks it both ways and gives
//
//   - recall ("P@k": the share of queries whose right answer is among the k
//     best; of several right answers the best placed counts), median and mean
//     rank and MRR, with Wilson intervals and with bootstrap intervals that
//     draw a photo's captions together;
//   - the same on disjoint random draws of so many photos, as the paper scores
//     100 pairs;
//   - a row for each caption, the captions that did worst, and recall by the
//     length of captions and by voice.
//
// Beneath are a [Matrix], which ranks the candidates of each query, and the
// figures of some ranks ([Summarize]), which training shows as it goes.
//
// Equals count by their expected place over all random orders: a model that
// gives every pair the same score is at chance, and never above. Where a query
// must be right or wrong, in [Compare], all equals stand before the right answer.
//
// [Compare] sets two models beside each other, query by query, on pairs that
// must be the same: a digest of them is in every result. Nothing depends on a
// clock or on the number of cores.
package retrieval
