// Package pipeline decides what of a spec must run, and runs it.
//
// # Plan
//
// A stage's result is found again by its key: the hash of a printed, line by
// line description of everything that decides the result: the kind and its
// code's version, the complete parameters, the digests of the inputs, those of
// files outside the store, the versions of outside tools and, for kinds that
// compute in floating point, the numeric path. Plan walks the stages in
// order, writes each description whose inputs are known and looks the key up.
// A stage is then cached, or must run, or is blocked; the reason is given in a
// person's words, found by comparing the description with that of the last
// result. A stage whose inputs must first be made waits: only when their
// digests are known is its own key known. If they turn out as before, it is
// cached after all (early cut-off).
//
// All this is cheap enough to be done each time: what a spec parses into is kept
// in the store (ParseSpec), and a result that is there costs a few stats.
//
// # Run
//
// Run goes through the plan as inputs become ready, under an Executor's budget
// of cores. A result becomes visible when its action is committed to the
// store, whole or not at all; the journal beside it only reports. Killed at
// any moment, a second Run goes on where the first was: what was committed is
// found by its key, and what was under way finds the folder that its Task
// kept.
//
// # Items
//
// A per-item stage lists its items. Each belongs to a shard by a hash of its
// id, so that inserting one moves no other, and each has a key of its own. A
// shard is cached like a stage. To make one, the rows of items whose key is
// unchanged are taken over from the last result, finished items of an
// interrupted attempt from a log, and only the rest is done. The rows are
// merged in order of ids as they are written: no shard is ever held in memory,
// and its bytes are those of a cold run. Items that the stage rejects are set
// aside by name; beyond a limit the stage fails, and keeps its shards.
//
// # Several at once
//
// Runs on one store share work: an action is done under a lock named by its
// key, and looked up again once the lock is held. Damage is healed: when an
// input turns out to be spoilt, the stage that made it is run again, and then
// its reader.
//
//	e, err := pipeline.New(p, stages.All, store, pipeline.Options{Events: show})
//	plan, err := e.Plan(ctx, pipeline.Selection{Targets: []string{"scores"}})
//	result, err := e.Run(ctx, plan, local.New(local.Options{CPUs: 2}))
package pipeline
