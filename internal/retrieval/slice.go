package retrieval

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/hearsight/hearsight/internal/table"
)

// lengths are the most words of a caption in each slice but the last: those of
// Flickr8k are 11 words long on the average.
var lengths = []int{6, 9, 12, 16}

// lengthName is the slice of captions of n words.
func lengthName(n int) string {
	from := 1
	for _, most := range lengths {
		if n <= most {
			return fmt.Sprintf("%d-%d words", from, most)
		}
		from = most + 1
	}
	return fmt.Sprintf("%d words or more", from)
}

// lengthNames are all slices, shortest first.
func lengthNames() []string {
	var out []string
	for _, n := range append([]int{1}, lengths...) {
		if n > 1 {
			n++
		}
		out = append(out, lengthName(n))
	}
	return out
}

// unknown is the label of a caption that has none, among others that do.
const unknown = "unknown"

// A labelling sorts captions by something that is known of them.
type labelling struct {
	of     string   // "words" or "voice"
	label  []string // of each caption
	labels []string // those that occur, in the order to show them
}

// labellings are those for which something is known.
func (s *Set) labellings() []labelling {
	words := labelling{of: "words"}
	voice := labelling{of: "voice"}
	texts, voices := false, false
	for _, c := range s.Captions {
		n := len(strings.Fields(c.Text))
		texts, voices = texts || n > 0, voices || c.Voice != ""
		if n == 0 {
			words.label = append(words.label, unknown)
		} else {
			words.label = append(words.label, lengthName(n))
		}
		voice.label = append(voice.label, cmp.Or(c.Voice, unknown))
	}
	var out []labelling
	if texts {
		for _, l := range append(lengthNames(), unknown) {
			if slices.Contains(words.label, l) {
				words.labels = append(words.labels, l)
			}
		}
		out = append(out, words)
	}
	if voices {
		voice.labels = slices.Compact(slices.Sorted(slices.Values(voice.label)))
		out = append(out, voice)
	}
	return out
}

// slices scores captions by length and by voice. The candidates are those of
// the whole set.
func (s *Set) slices(toImage []Rank) (words, voice []table.Slice) {
	for _, l := range s.labellings() {
		var out []table.Slice
		for _, name := range l.labels {
			var some []Rank
			for j, r := range toImage {
				if l.label[j] == name {
					some = append(some, r)
				}
			}
			out = append(out, table.Slice{Name: name, SpeechToImage: recall(some)})
		}
		if l.of == "words" {
			words = out
		} else {
			voice = out
		}
	}
	return words, voice
}

// confusion counts what photos found in place of their own captions.
func (s *Set) confusion(of []int, toSpeech []Rank) []table.Confusion {
	var out []table.Confusion
	for _, l := range s.labellings() {
		if len(l.labels) < 2 {
			continue
		}
		c := table.Confusion{Of: l.of, Labels: l.labels, Counts: make([][]int, len(l.labels))}
		for i := range c.Counts {
			c.Counts[i] = make([]int, len(l.labels))
		}
		for _, r := range toSpeech {
			if r.BestScore > r.Score {
				c.Counts[slices.Index(l.labels, l.label[r.Partner])][slices.Index(l.labels, l.label[r.Best])]++
			}
		}
		out = append(out, c)
	}
	return out
}

// mostHard is how many captions a result lists.
const mostHard = 10

// hardest are the captions that found their photo last: among equals those
// whose photo is the farthest behind.
func hardest(queries []table.Query) []table.HardCaption {
	order := slices.Clone(queries)
	slices.SortFunc(order, func(a, b table.Query) int {
		return cmp.Or(cmp.Compare(b.Rank, a.Rank), cmp.Compare(a.Score-a.ImpostorScore, b.Score-b.ImpostorScore), cmp.Compare(a.Caption, b.Caption))
	})
	var out []table.HardCaption
	for _, q := range order {
		if q.Rank == 1 || len(out) == mostHard {
			break
		}
		out = append(out, table.HardCaption{
			Caption: q.Caption, Text: q.Text, Photo: q.Photo, Rank: q.Rank, Score: q.Score, Found: q.Impostor, FoundScore: q.ImpostorScore,
		})
	}
	return out
}
