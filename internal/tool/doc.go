// Package tool runs outside programs: speech synthesisers, converters, and
// whatever a pipeline's exec stage names.
//
// An outside program is not to be trusted with anything. It may hang, ignore
// signals, fill the disk or our memory with its output, leave children behind
// that hold its pipes open, or die half-way through a file. Run therefore
// starts each program
//
//   - with exactly the arguments and environment given, and no other open files
//     than its standard streams;
//   - in a process group of its own, so that ending it ends its children;
//   - with limits on time, on what it prints, on the size of the files it writes
//     and, on Linux, on the memory that it and its children take together;
//   - below a supervisor, a second process of ours: see Supervise. It ends the
//     programs and all that came from them when this process ends, however.
//
// Ending a program is always the same: TERM to the whole group, a grace period,
// then KILL to the whole group. When the program itself has ended, whatever is
// left of its group is killed too. What fled the group is killed, on Linux, as
// soon as it can belong to no program that runs; at once if it holds a pipe of
// one that has ended. Where it cannot be found it is waited for a moment and
// then given up, with an error. Decision 12 has the reasons.
//
// The error of a program that failed carries the last lines of its stderr.
package tool
