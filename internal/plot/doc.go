// Package plot draws the few pictures a person wants to see of a run: curves of
// loss and P@k, heat maps of spectrograms, MFCCs and matchmaps, and waveforms.
//
// What goes in is plain numbers; what comes out is one file written to an
// io.Writer, or text for a terminal. Nothing is read from disk, the clock, the
// environment or the web, so equal input gives equal bytes and a drawn artifact
// can be content-addressed like any other:
//
//	SVG       several curves over each other, with axes and a legend   SVG
//	HeatMap   a matrix, one cell a square of pixels                    PNG
//	Waveform  samples as a min/max envelope with the RMS inside        PNG
//	Sound     a waveform over its spectrogram                          PNG
//	Terminal  a matrix as half-block characters, or as plain ASCII     text
//
// SVG stands on gonum.org/v1/plot; the PNGs are drawn here on the standard
// library's image/png, since a matrix needs no axes and no fonts. (The one
// limit to "equal bytes": an architecture that fuses multiply and add may round
// a fifth digit of an SVG coordinate differently. The PNGs and the text are
// free of that.)
//
// Real runs have holes: a P@1 measured only every fifth epoch, a frame of
// log 0. NaN is therefore never an error. It is a gap in a curve, a grey cell
// in a heat map, an empty column in a waveform. Infinities lie at the end of
// the colour scale they point to, and are gaps in a curve. Empty input gives
// empty axes or one grey cell, not a failure, because a report of a run that
// stopped at once should still render. Only contradictions are errors: lengths
// that disagree, a range whose ends are crossed, a picture too large to hold.
//
// Matrices are row-major and drawn with row 0 at the top, as an image is. The
// tables of this project keep one frame a row; Upright turns such a table into
// the usual picture, with time running right and coefficient 0 at the bottom.
package plot
