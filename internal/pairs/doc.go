// Package pairs is what the stages that bring in a data set share: the rules
// for ids and captions, and the writing of an artifact of type pairs.
//
// Such an artifact holds
//
//	captions.parquet      hearsight.captions/1  one row a caption, in order of ids
//	photos-00..15.parquet hearsight.photos/1    each photo's bytes as they were given
//	clips-00..15.parquet  hearsight.clips/2     spoken captions, where the set has them
//
// Photos and clips lie in the part that a hash of their id names, so that a
// photo that changes touches one part of sixteen. A part without rows is left
// out.
//
// What comes in here goes on to every later stage, so this is where foreign
// names and texts are looked at: CheckID refuses ids that could be taken for
// something else wherever they may be used later, and Normalise refuses texts
// that are not captions.
package pairs
