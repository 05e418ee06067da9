// Package report writes the page that shows what a run found: one HTML file
// that needs no network and no script. It holds the table of systems beside
// the paper's with what stands behind each score, the training curves, what the
// models cost, the data, the best and the worst queries with their photos,
// sound and matchmaps, what was set aside and why, and how it was all made.
//
// The package knows nothing of stores or stages. Whoever calls it fills a Page;
// a Page without a Run holds no clock, so that equal results give equal bytes.
package report
