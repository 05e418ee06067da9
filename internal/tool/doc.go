// Package tool runs outside programs: speech synthesisers, converters, and
// whatever a pipeline's exec stage names.
//
// An outside program is not to be trusted with anything. It may hang, ignore
// signals, fill the disk or our memory with its output, leave children behind
// that hold its pipes open, or die half-way through a file. Run therefore
// starts each program
//
//   - with exactly the arguments and environment given;
//   - in a process group of its own, so that ending it ends its children;
//   - with limits on time, on what it prints and, where the system can, on the
//     size of the files it writes and the memory it takes;
//   - bound to this process, however it dies: on Linux the kernel kills the
//     program, and a sentinel, a second process of ours, kills its group.
//
// Ending a program is always the same: TERM to the whole group, a grace period,
// then KILL to the whole group. When the program itself has ended, whatever is
// left of its group is killed too, and a process that fled the group while
// holding a pipe is waited for a moment and then given up, with an error.
//
// The error of a program that failed carries the last lines of its stderr.
package tool
