// Package mel turns sound into the numbers a speech model reads: mel-frequency
// cepstral coefficients (MFCC) and log mel filterbanks.
//
// # The idea
//
// Speech changes slowly compared with its samples, so it is cut into frames of
// some 25 ms, one every 10 ms. In each frame what matters is how much energy
// lies in which region of frequency, and the ear tells low frequencies apart
// better than high ones: the mel scale spaces triangular filters accordingly.
// The logarithm of each filter's energy is close to perceived loudness. A
// cosine transform (DCT-II) over the filters then separates the smooth outline
// of the spectrum (the vowel) from its fine structure (the pitch): those
// coefficients are the MFCC.
//
//	samples -> pre-emphasis -> frames -> window -> |FFT|² -> mel filterbank
//	        -> log -> DCT-II -> lifter -> MFCC (frames x cepstra)
//
// # Dialects
//
// Every library does this a little differently, and models trained on one do
// not accept another. Config.Dialect chooses whose numbers come out:
//
//	           psf (default)       librosa             kaldi              davenet
//	samples    int16 scale         scaled by 1/32768   int16 scale        scaled by 1/32768
//	frames     last zero-padded    centred on t*hop,   only whole ones    centred, zeros around
//	                               zeros around
//	pre-emph.  whole signal        none                in the frame       whole signal, mean off first
//	window     rectangular         Hann, periodic      Povey              Hamming, symmetric
//	FFT        any size            2048                next power of two  the window's length
//	power      |X|²/N              |X|²                |X|²               |X|²
//	mel        HTK, edges floored  Slaney, area-normed HTK, in mel        Slaney, from 20 Hz
//	           to bins
//	log        ln, 0 -> 2.2e-16    10 log10, top 80 dB ln, floor 1.2e-7   10 log10, top 80 dB,
//	                                                                      0 dB = loudest
//	output     DCT, lifter 22,     DCT                 DCT, lifter 22,    log mel
//	           column 0 = energy
//
// docs/mfcc.md has the same with numbers. The arithmetic is float64 throughout,
// eight frames at once where the CPU can (package spectra), and the reference
// values of golden/audio are met within the tolerances of a float64 program on
// every numeric path. The results do not depend on how many goroutines work, nor
// on how a signal is cut into pieces: Stream takes one of any length in constant
// memory.
//
// # Use
//
//	e, err := mel.New(mel.Default())       // one Extractor per goroutine
//	feat, frames, err := e.Extract(nil, samples) // frames x e.Cols(), row by row
package mel
