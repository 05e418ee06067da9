// Package stages lists every kind of stage, in the order data flows. A new kind
// is a folder beside this file and its line here.
package stages

import (
	"github.com/hearsight/hearsight/stages/cmvn"
	"github.com/hearsight/hearsight/stages/corpus"
	"github.com/hearsight/hearsight/stages/decode"
	"github.com/hearsight/hearsight/stages/eval"
	"github.com/hearsight/hearsight/stages/exec"
	"github.com/hearsight/hearsight/stages/features"
	"github.com/hearsight/hearsight/stages/flickr8k"
	"github.com/hearsight/hearsight/stages/images"
	"github.com/hearsight/hearsight/stages/mfcc"
	"github.com/hearsight/hearsight/stages/model"
	"github.com/hearsight/hearsight/stages/report"
	"github.com/hearsight/hearsight/stages/scenes"
	"github.com/hearsight/hearsight/stages/stage"
	"github.com/hearsight/hearsight/stages/train"
	"github.com/hearsight/hearsight/stages/tts"
)

// All is every kind that a spec may name.
var All = []stage.Kind{
	flickr8k.Kind,        // photos + captions -> pairs
	scenes.Kind,          // a seed -> pairs
	corpus.Kind,          // CSV or Parquet -> pairs, clips
	tts.Kind,             // captions -> spoken clips
	decode.Kind,          // mp3, m4a, … -> WAV
	mfcc.Kind,            // WAV -> MFCC
	cmvn.Kind,            // MFCC -> MFCC normalised by the corpus
	images.Kind,          // photos -> pixels of one size
	features.Kind,        // pixels -> feature maps
	train.Kind,           // pairs + MFCC + features or pixels -> model
	model.Kind,           // files -> model
	eval.Kind,            // model + what it is scored on -> scores
	report.Kind,          // scores -> page
	exec.Kind, exec.Each, // files -> files
}
