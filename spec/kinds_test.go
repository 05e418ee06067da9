package spec

// testKinds are kinds enough for a pipeline like the paper's.
func testKinds() []Kind {
	f := func(x float64) *float64 { return &x }
	return []Kind{
		{Name: "flickr8k", Doc: "dataset import", Output: "pairs", Params: []Param{
			{Name: "root", Doc: "folder of the data set", Type: "string", Path: "dir", Required: true},
			{Name: "train", Doc: "photos to train on", Type: "int", Default: 6000, Min: f(1)},
			{Name: "captions_per_photo", Doc: "captions of each photo", Type: "int", Default: 5, Min: f(1), Max: f(5)},
		}},
		{Name: "tts", Doc: "text to speech", Output: "speech", Items: true, Ports: []Port{{Name: "captions", Types: []string{"pairs"}}}, Params: []Param{
			{Name: "engine", Doc: "speech engine", Type: "string", Enum: []string{"auto", "espeak-ng", "say"}},
			{Name: "voice", Doc: "voice", Type: "string"},
			{Name: "voices", Doc: "several voices", Type: "[]string"},
			{Name: "format", Doc: "of the clips", Type: "string", Enum: []string{"native", "wav", "m4a", "mp3"}},
		}},
		{Name: "mfcc", Doc: "audio features", Output: "mfcc", Items: true, Ports: []Port{{Name: "wav", Types: []string{"speech", "wav"}}}, Params: []Param{
			{Name: "filters", Doc: "mel filters", Type: "int", Min: f(1), Max: f(512)},
			{Name: "window_samples", Doc: "length of a window", Type: "int", Min: f(16), Max: f(8192), Unit: "samples"},
			{Name: "preemphasis", Doc: "high-pass", Type: "float", Min: f(0), Max: f(1)},
			{Name: "log", Doc: "log energies", Type: "bool"},
		}},
		{Name: "images", Doc: "photos to arrays", Output: "images", Items: true, Ports: []Port{{Name: "pairs", Types: []string{"pairs"}}}},
		{Name: "features", Doc: "frozen towers", Output: "features", Items: true, Ports: []Port{{Name: "images", Types: []string{"images"}}}, Params: []Param{
			{Name: "tower", Doc: "the network", Type: "string", Required: true, Enum: []string{"vgg16", "vgg19", "resnet50"}},
			{Name: "weights", Doc: "folder of weights", Type: "string", Path: "any"},
		}},
		{Name: "train", Doc: "learns", Output: "model", Ports: []Port{
			{Name: "pairs", Types: []string{"pairs"}}, {Name: "mfcc", Types: []string{"mfcc"}},
			{Name: "features", Types: []string{"features", "images"}}, {Name: "from", Types: []string{"model"}, Optional: true},
		}, Params: []Param{
			{Name: "audio", Doc: "audio tower", Type: "string", Enum: []string{"conv5", "conv3", "gru"}},
			{Name: "length", Doc: "of the clips", Type: "string", Enum: []string{"fixed", "true"}},
			{Name: "frames", Doc: "frames of audio", Type: "int", Min: f(1), Unit: "frames"},
			{Name: "epochs", Doc: "passes", Type: "int", Min: f(0)},
			{Name: "checkpoint_every", Doc: "time between checkpoints", Type: "duration", Min: f(1)},
			{Name: "cache", Doc: "memory for batches", Type: "bytes"},
			{Name: "rates", Doc: "learning rates", Type: "[]float"},
		}, Check: func(p map[string]any) []ParamProblem {
			if p["audio"] == "gru" && p["frames"] != nil {
				return []ParamProblem{{Param: "frames", Message: "gru takes clips of any length"}}
			}
			return nil
		}},
		{Name: "eval", Doc: "scores", Output: "scores", Ports: []Port{{Name: "model", Types: []string{"model"}}}},
		{Name: "report", Doc: "page", Output: "report", Ports: []Port{{Name: "scores", Types: []string{"scores"}, Many: true}}},
		{Name: "exec", Doc: "any command", Output: "files", Ports: []Port{{Name: "in", Many: true, Optional: true}}, Params: []Param{
			{Name: "command", Doc: "program and arguments", Type: "[]string", Required: true},
			{Name: "env", Doc: "environment", Type: "map"},
		}},
	}
}
