// Package matchmap shows what a similarity is made of: how well each place of a
// photo matches each moment of a clip (Harwath et al. 2018).
//
// [Compute] makes the map of a pair, T x H x W numbers, and says where its places
// lie in the photo and when its steps are heard. Their product is what the kind
// of similarity sums up: mean over steps of the best place (misa), mean over
// places of the best step (sima), mean of all (sisa); with attention all of them,
// weighted by both attentions, add up to it.
//
// A [Figure] draws one, with the photo, the words at their times and the sound:
//
//	Strip     all steps side by side, as a PNG
//	Animate   the photo under the matches in time with the sound, as an animated PNG
//
// A place of a network with steps of 2 is not in the middle of "its" square of the
// photo: where it lies is followed through the layers. A trained tower may still
// answer beside what it sees, as far as its kernels reach, for nothing in a
// similarity says where the best place has to be.
//
// Equal input gives equal bytes.
package matchmap
