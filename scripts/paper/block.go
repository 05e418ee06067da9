package main

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/hearsight/hearsight/internal/atomicfile"
	"github.com/hearsight/hearsight/internal/report"
	"github.com/hearsight/hearsight/internal/table"
)

// What `make paper` keeps lies in docs/: its lines, and the block of results.md
// that is written from them.
const (
	linesName   = "paper.jsonl"
	resultsName = "results.md"
	blockBegin  = "<!-- written by `make paper` from paper.jsonl: edit neither by hand -->"
	blockEnd    = "<!-- end of what `make paper` writes -->"
)

// A book is the folder with both.
type book struct{ dir string }

func (b book) linesPath() string   { return filepath.Join(b.dir, linesName) }
func (b book) resultsPath() string { return filepath.Join(b.dir, resultsName) }

// check finds what would not go well at the end of a long run: lines that no run
// has written, a block that is not theirs.
func (b book) check() error {
	lines, err := readLines(b.linesPath())
	if err != nil {
		return err
	}
	text, err := os.ReadFile(b.resultsPath())
	if err != nil {
		return err
	}
	at, was, err := findBlock(text)
	if err != nil {
		return fmt.Errorf("%s:%w", b.resultsPath(), err)
	}
	want := sealed(block(allRows(), lines))
	if content, ok := strings.CutSuffix(was, seal(was)); was == want || ok && sealed(content) == was {
		return nil // ours: a run that was killed between its two files, or another version, wrote it
	}
	n := 0
	a, w := strings.Split(was, "\n"), strings.Split(want, "\n")
	for n < min(len(a), len(w)) && a[n] == w[n] {
		n++
	}
	return fmt.Errorf("%s:%d: the paper's table is not what %s gives, it was edited by hand: `go run ./scripts/paper -table` writes it anew", b.resultsPath(), at+n+1, linesName)
}

// sealed is the block with a digest of it behind it, by which what a run has
// written is known from what a hand has changed.
func sealed(content string) string {
	return content + fmt.Sprintf("<!-- sha256:%x -->\n", sha256.Sum256([]byte(content)))
}

// seal is the last line of a block.
func seal(text string) string {
	return text[strings.LastIndexByte(strings.TrimSuffix(text, "\n"), '\n')+1:]
}

// write writes the block anew, from the lines.
func (b book) write() error {
	lines, err := readLines(b.linesPath())
	if err != nil {
		return err
	}
	text, err := os.ReadFile(b.resultsPath())
	if err != nil {
		return err
	}
	_, was, err := findBlock(text)
	if err != nil {
		return fmt.Errorf("%s:%w", b.resultsPath(), err)
	}
	want := sealed(block(allRows(), lines))
	if was == want {
		return nil
	}
	text = bytes.Replace(text, []byte(blockBegin+"\n"+was), []byte(blockBegin+"\n"+want), 1)
	return atomicfile.WriteFile(b.resultsPath(), text, 0o644)
}

// enter puts a line among the lines, and the block after them; kept says why an
// older line stays.
func (b book) enter(l line) (kept string, err error) {
	if err := b.check(); err != nil {
		return "", err
	}
	lines, err := readLines(b.linesPath())
	if err != nil {
		return "", err
	}
	lines, kept = merged(lines, l)
	if kept != "" {
		return kept, nil
	}
	if err := writeLines(b.linesPath(), lines); err != nil {
		return "", err
	}
	return "", b.write()
}

// findBlock is what stands between the marks, and the line (from 1) of the first
// mark. An error begins with the line.
func findBlock(text []byte) (at int, inside string, err error) {
	begin, end := 0, 0
	n := 0
	for line := range bytes.Lines(text) {
		n++
		switch string(bytes.TrimRight(line, "\r\n")) {
		case blockBegin:
			if begin > 0 {
				return 0, "", fmt.Errorf("%d: a second %q, the first is in line %d: take the file back by `git checkout`", n, blockBegin, begin)
			}
			begin = n
		case blockEnd:
			if begin == 0 || end > 0 {
				return 0, "", fmt.Errorf("%d: %q without its beginning: take the file back by `git checkout`", n, blockEnd)
			}
			end = n
		}
	}
	if begin == 0 || end == 0 {
		missing := blockBegin
		if begin > 0 {
			missing = blockEnd
		}
		return 0, "", fmt.Errorf("%d: the line %q is not there, so the table has no place: take the file back by `git checkout`", n, missing)
	}
	_, rest, _ := bytes.Cut(text, []byte(blockBegin+"\n"))
	in, _, ok := bytes.Cut(rest, []byte(blockEnd))
	if !ok {
		return 0, "", errors.New("1: lines end otherwise than by a line feed")
	}
	return begin, string(in), nil
}

// block is what stands between the marks: the table of these rows, and what is
// found.
func block(rows []row, lines []line) string {
	of := byRow(lines)
	var b strings.Builder
	b.WriteString("\n| row | the paper: P@1 / 5 / 10 | ours: P@1 | P@5 | P@10 | photo → speech, P@10 | image tower | pairs seen | loss | trained in | model |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|---|---|\n")
	for _, r := range rows {
		paper := "–"
		switch p := report.Paper(r.name); {
		case p != nil && p.Reported:
			paper = point(p.P1) + " / " + point(p.P5) + " / " + point(p.P10)
		case p != nil:
			paper = "not reported"
		}
		l, ok := of[r.name]
		if !ok {
			fmt.Fprintf(&b, "| %s | %s | not run yet | | | | | | | | |\n", r.name, paper)
			continue
		}
		loss, wall := "–", "–"
		if l.Loss != nil {
			loss = fmt.Sprintf("%.3f", *l.Loss)
		}
		if l.Seconds > 0 {
			wall = minutes(l.Seconds / 60)
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s | %s | %s | `%s` |\n", r.name, paper,
			share(l.ToPhoto.P1), share(l.ToPhoto.P5), share(l.ToPhoto.P10), share(l.ToSpeech.P10), imageTower(r, l), count(l.PairsSeen), loss, wall, short(l.Model))
	}
	b.WriteString("| chance | | .01 | .05 | .10 | .10 | | | 2.000 if collapsed | | |\n\n")
	if len(lines) == 0 {
		b.WriteString("Nothing has been run yet.\n\n")
		return b.String()
	}
	fmt.Fprintf(&b, "Speech → photo on 100 development pairs, in brackets the 95 %% Wilson interval. Pairs seen: %d a step. Loss: mean of the last tenth of the training. Trained in: wall time, all attempts. Model: the first digits of the artifact's digest, which `hearsight digest` prints.\n\n", batch)
	for _, s := range sharedSettings(lines) {
		b.WriteString("- " + s + "\n")
	}
	b.WriteString("\nWhat the paper says, and we find:\n\n")
	for _, s := range findings(lines) {
		b.WriteString("- " + s + "\n")
	}
	b.WriteString("\n")
	return b.String()
}

// imageTower is the network that a row's feature maps come from.
func imageTower(r row, l line) string {
	if r.random {
		return "VGG16 from the seed, trained along"
	}
	title, _, _ := strings.Cut(l.Settings["features"], ":")
	return title
}

// sharedSettings says each setting once, with the rows that it is of where they
// differ. Machine and date are settings here.
func sharedSettings(lines []line) (out []string) {
	for _, name := range []string{"audio", "similarity", "loss", "optimizer", "training", "machine"} {
		var values []string
		rows := map[string][]string{}
		for _, l := range lines {
			v := l.Settings[name]
			switch name {
			case "machine":
				known := slices.DeleteFunc([]string{l.Machine, l.Numeric, l.Date}, func(s string) bool { return s == "" })
				v = strings.Join(known, ", ")
			case "training":
				_, v, _ = strings.Cut(v, ", ") // the length is in the table
			}
			if !slices.Contains(values, v) {
				values = append(values, v)
			}
			rows[v] = append(rows[v], l.Row)
		}
		for i, v := range values {
			if len(values) > 1 {
				values[i] = v + " (" + strings.Join(rows[v], ", ") + ")"
			}
		}
		out = append(out, name+": "+strings.Join(values, "; "))
	}
	return out
}

// point prints a share as the paper does: .76, 1.00.
func point(x float64) string { return strings.TrimPrefix(fmt.Sprintf("%.2f", x), "0") }

func share(s table.Share) string {
	return fmt.Sprintf("%s [%s %s]", point(s.Value), point(s.Low), point(s.High))
}

// count prints a number with commas between thousands.
func count(n int64) string {
	text := strconv.FormatInt(n, 10)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}

func minutes(m float64) string {
	if m < 120 {
		return fmt.Sprintf("%.3g min", m)
	}
	return fmt.Sprintf("%.1f h", m/60)
}

// short is the beginning of a digest, enough to know it by.
func short(digest string) string {
	_, hex, ok := strings.Cut(digest, ":")
	if !ok {
		hex = digest
	}
	return hex[:min(12, len(hex))]
}
