package main

import (
	"bytes"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hearsight/hearsight/internal/sharedtest"
)

// A sample is what a photo of the newcomer's folder is made of.
type sample struct {
	photo, sound []byte
	caption      string
}

// drawn are samples that need nothing: a colour, a tone, a caption.
func drawn(t *testing.T) (out []sample) {
	t.Helper()
	for i := range 24 {
		im := image.NewGray(image.Rect(0, 0, 64, 48))
		for p := range im.Pix {
			im.Pix[p] = uint8(10*i + p%(3+i))
		}
		im.Set(0, 0, color.Gray{uint8(i)})
		var b bytes.Buffer
		if err := png.Encode(&b, im); err != nil {
			t.Fatal(err)
		}
		out = append(out, sample{b.Bytes(), tone(200 + 50*float64(i)), fmt.Sprintf("a grey picture, number %d", i)})
	}
	return out
}

// spoken are 32 photos of Flickr8k with a caption and its recording as MP3.
func spoken(t *testing.T) (out []sample) {
	t.Helper()
	photos, speech := sharedtest.Path(t, "data", "flickr8k", "images"), sharedtest.Path(t, "data", "speech", "gtts_flickr8k")
	for line := range strings.Lines(string(mustRead(t, filepath.Join(speech, "transcripts.tsv")))) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		photo, _, _ := strings.Cut(f[1], "#")
		out = append(out, sample{mustRead(t, filepath.Join(photos, photo)), mustRead(t, filepath.Join(speech, f[0])), f[2]})
	}
	return out
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A newcomer follows a page of the documentation in a folder of its own.
type newcomer struct {
	dir     string
	samples []sample
	sounds  func(name string) []byte // a recording by the name the page has for it
	photos  map[string]bool          // laid so far
}

func (n *newcomer) put(t *testing.T, name string, data []byte) {
	t.Helper()
	path := filepath.Join(n.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// table writes a table of the page with the files that it names, and as many
// more rows as there are samples.
func (n *newcomer) table(t *testing.T, name, text string) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(text), "\n")
	columns := strings.Split(lines[0], ",")
	for i, s := range n.samples {
		row := []string{}
		for _, c := range columns {
			row = append(row, map[string]string{"image": fmt.Sprintf("more/%02d.jpg", i), "audio": fmt.Sprintf("%02d.mp3", i), "caption": `"` + strings.ReplaceAll(s.caption, `"`, `""`) + `"`}[c])
		}
		if len(columns) > 1 { // sounds.csv is as it is
			lines = append(lines, strings.Join(row, ","))
		}
	}
	for i, line := range lines[1:] {
		s := n.samples[i%len(n.samples)]
		for c, field := range strings.Split(line, ",")[:min(2, len(columns))] {
			switch columns[c] {
			case "image":
				if !n.photos[field] {
					n.put(t, "photos/"+field, s.photo)
				}
				n.photos[field] = true
			case "audio":
				sound := s.sound
				if len(columns) == 1 {
					sound = n.sounds(field)
				}
				n.put(t, map[bool]string{true: "sounds/", false: "recordings/"}[len(columns) == 1]+field, sound)
			}
		}
	}
	n.put(t, name, []byte(strings.Join(lines, "\n")+"\n"))
}

// block is a fenced block of Markdown: its language, its name, its text.
var block = regexp.MustCompile("(?ms)^```([a-z]+) ?([a-z.]*)\n(.*?)^```$")

// follow does what the page says and returns what each command printed.
func (n *newcomer) follow(t *testing.T, page string) map[string]string {
	t.Helper()
	said := map[string]string{}
	for _, b := range block.FindAllStringSubmatch(page, -1) {
		language, name, text := b[1], b[2], b[3]
		switch {
		case language == "csv":
			n.table(t, name, text)
		case language == "yaml" && name != "":
			n.put(t, name, []byte(text))
		case language == "sh":
			if _, err := exec.LookPath(name); name != "" && err != nil {
				t.Logf("%s is not installed: its commands are left out", name)
				continue
			}
			for line := range strings.Lines(text) {
				cmd := exec.Command("sh", "-c", strings.TrimSpace(line))
				cmd.Dir = n.dir
				out, err := cmd.CombinedOutput()
				if err != nil {
					t.Fatalf("%s: %v\n%s", line, err, out)
				}
				said[strings.TrimSpace(line)] = string(out)
			}
		}
	}
	return said
}

// TestOwnCorpus follows docs/own-corpus.md, once with made things and once with
// real ones where they are.
func TestOwnCorpus(t *testing.T) {
	if os.Getenv("HEARSIGHT_PAGES") == "" {
		t.Skip("trains six models: make own-corpus runs it")
	}
	if _, err := exec.LookPath("espeak-ng"); err != nil {
		t.Skip("espeak-ng is not installed")
	}
	page := string(mustRead(t, filepath.Join("..", "..", "docs", "own-corpus.md")))
	for name, given := range map[string]func(t *testing.T) *newcomer{
		"drawn": func(t *testing.T) *newcomer {
			return &newcomer{samples: drawn(t), sounds: func(string) []byte { return tone(300) }}
		},
		"real": func(t *testing.T) *newcomer {
			if _, err := exec.LookPath("ffmpeg"); err != nil {
				t.Skip("ffmpeg is not installed")
			}
			return &newcomer{samples: spoken(t), sounds: func(name string) []byte {
				return mustRead(t, sharedtest.Path(t, "data", "speech", "librivox", "p001"+filepath.Ext(name)))
			}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := given(t)
			n.dir, n.photos = t.TempDir(), map[string]bool{}
			said := n.follow(t, page)
			for command, want := range map[string]string{
				"hearsight metrics":                     `mine +validation +\d+ +speech -> photo +[1.]`,
				"hearsight report":                      `wrote report.html: 1 scores, .* 0 items set aside`,
				"hearsight inspect pairs":               fmt.Sprintf(`captions.parquet +%d rows`, 4+len(n.samples)),
				"hearsight run --set epochs=60":         `model +done`,
				"hearsight metrics -f recorded.yaml":    `recorded +validation +\d+ +speech -> photo`,
				"hearsight inspect -f sounds.yaml mfcc": `^mfcc: mfcc, 5 items`,
			} {
				if !regexp.MustCompile(want).MatchString(said[command]) {
					t.Errorf("%s printed, without %q:\n%s", command, want, said[command])
				}
			}
			if files, err := filepath.Glob(filepath.Join(n.dir, "features", "mfcc-*.parquet")); err != nil || len(files) == 0 {
				t.Errorf("no MFCC in the folder features: %v", err)
			}
		})
	}
}
