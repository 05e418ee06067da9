// Package remote keeps copies of a store's results elsewhere, in a folder or
// in a bucket (package s3), and brings them back.
//
// # The idea
//
// A Remote holds files by name and knows nothing of what is in them. The names
// are those of a store:
//
//	objects/ab/cdef…        any bytes, named by their SHA-256
//	actions/ab/cdef….json   what an action was and which artifact it gave
//	lineage/ab/cdef…        the last result of a shard, to take rows over from
//
// Push sends the artifacts it is told to, the records of the actions that led
// to them, and the lineage. A Reader brings back what an action gave, asked by
// its key: a run asks it before it does any work.
//
// # Trust
//
// An object is named by its digest, so it does not matter who keeps it, or
// how: its bytes are hashed on their way in and do not enter the store unless
// they have the digest that was asked for. A record of an action must be the
// record of the action asked for, to the last byte of its description. That
// its artifact is what the work would have given cannot be told without doing
// the work: who may write actions/ and lineage/ of a remote is trusted, as one
// who may write the store.
//
// # When a remote misbehaves
//
// Nothing that a Remote does may spoil a result, stop a run or hold it up for
// ever. It may be gone, refuse, break off, give wrong bytes, too few or too
// many, or say nothing at all. What does not come in time is given up, even
// if the Remote's code never returns; what broke off goes on where it broke
// off; what is wrong is thrown away and asked for once more. After a few
// failures in a row a Reader leaves the remote alone, and the run goes on as
// if there were none.
//
// # Uploads
//
// A file of a remote is there whole or not at all, and its Remote has made
// sure of its bytes before Put returns. Objects go first, the records that
// lead to them last, so that a push that was cut off leaves no record without
// its objects; the next one sends what is missing, and of a large object only
// the rest.
package remote
