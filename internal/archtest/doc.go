// Package archtest holds the project to its import direction: data goes one
// way, from spec through pipeline and stages to artifacts, and a layer that is
// only drawn rots. Its test reads every file's imports and checks them against
// a table of who may import whom.
package archtest
