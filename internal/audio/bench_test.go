package audio

import (
	"os"
	"testing"

	"github.com/hearsight/hearsight/internal/sharedtest"
)

// BenchmarkDecode reports how many times faster than real time sound is decoded.
func BenchmarkDecode(b *testing.B) {
	for _, path := range [][]string{
		{"gtts_flickr8k", "1056338697_4f7d7ce270.mp3"}, {"librivox", "p001.mp3"}, {"librivox", "p001.mp4"},
		{"decoder_corpus", "derived", "say_like_22050_mono.m4a"}, {"librivox", "exact.5600.16000.wav"},
	} {
		b.Run(path[len(path)-1], func(b *testing.B) {
			data, err := os.ReadFile(sharedtest.Path(b, append([]string{"data", "speech"}, path...)...))
			if err != nil {
				b.Fatal(err)
			}
			var info Info
			for b.Loop() {
				if _, info, err = Decode("bench", data); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(info.DurationSec*float64(b.N)/b.Elapsed().Seconds(), "x-real-time")
		})
	}
}
