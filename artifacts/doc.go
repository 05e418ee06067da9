// Package artifacts keeps results: a store of files named by the SHA-256 of
// their bytes, and the record of which work gave which of them.
//
// # The idea
//
// A result is an Artifact: a Manifest that lists named parts with their
// digests. The manifest is stored as an object too, and its digest is the
// artifact's identity. Equal contents have equal digests, however and whenever
// they were made, so work that reads an artifact need not be done again when
// its input was made anew and came out the same.
//
// What led to an artifact is an Action. Everything that decides the result is
// written down, line by line, as a description; its SHA-256 is the ActionKey.
// The file of that name under actions/ says: this work gave that artifact.
// Work is done when that file exists, and not before: it is the commit point.
//
// # On disk
//
//	format                  "hearsight store 1"
//	objects/ab/cdef…        any bytes, named by their SHA-256; read-only
//	actions/ab/cdef….json   {"description": …, "manifest": "sha256:…"}
//	partial/<key>/          what unfinished work of that key wants to find again
//	lineage/ab/cdef…        name -> the last action done under that name
//	runs/<id>/              the journal and logs of a run
//	pins                    names of artifacts that are never collected, with their number
//	statcache               which files were verified, and with what stamp
//	memo                    what actions led to, with the stamps of both files
//	plans/<name>            specs as they were parsed
//	locks/<name>            files that locks are held on; when one is given up its file
//	                        moves to the session's tmp/, to be the next lock
//	tmp/<session>/          files being written, one folder an open store
//
// # Promises
//
// A file is visible whole or not at all. It is written under tmp/, fsynced,
// renamed or linked to its name, and its folder is fsynced. An action is
// linked only when all the parts of its artifact are there and durable.
//
// Nothing is trusted because it exists. An object is hashed when it is first
// opened, and again whenever its stamp (size, times, inode, device) is not the
// one it had when it was last hashed; an action's description must hash to its
// name. What is damaged is dropped, so that the next run makes it anew, and is
// never returned.
//
// The first writer of an action wins; the second gets the winner's artifact,
// and an error that wraps ErrNondeterministic if its own was another. Any
// number of processes may use one store at once. Locks are flocks: they die
// with their owner, and no process id is ever read from a file. Temporary
// files lie in a folder that its owner holds locked, so the next store to be
// opened can tell and remove those whose owner is gone.
//
// Losing the statcache, the memo, plans/, locks/, lineage/ or tmp/ costs time, never a result.
package artifacts
