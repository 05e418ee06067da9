package spec

import (
	"fmt"
	"sort"
	"strings"
	"unicode"
	"unicode/utf8"
)

// A Problem is one thing that is wrong with a spec, and where.
type Problem struct {
	Pos        Pos    // Line is 0 where the problem is not in the file: an unknown --set, an empty file
	Message    string // one line
	Suggestion string // the nearest valid word, or empty
	Excerpt    string // the source line and a caret below the place, or empty
}

// String returns "file:line:column: message (did you mean …?)" and below it
// the excerpt.
func (p Problem) String() string {
	var b strings.Builder
	if p.Pos.Line > 0 {
		b.WriteString(p.Pos.String())
	} else {
		b.WriteString(p.Pos.File)
	}
	b.WriteString(": ")
	b.WriteString(p.Message)
	if p.Suggestion != "" {
		fmt.Fprintf(&b, " (did you mean %q?)", p.Suggestion)
	}
	if p.Excerpt != "" {
		b.WriteByte('\n')
		b.WriteString(p.Excerpt)
	}
	return b.String()
}

// Problems is everything that is wrong with a spec, in order of place. It is
// the error of Load and Parse.
type Problems []Problem

func (ps Problems) Error() string {
	var b strings.Builder
	for i, p := range ps {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(p.String())
	}
	return b.String()
}

// maxProblems is how many problems are kept. A file with more is not a spec
// with mistakes but something else; the rest is only counted.
const maxProblems = 500

// place is a line and column of the file being read, from 1; 0,0 is no place.
type place struct{ line, col int }

// report notes a problem. The same words at the same place are said once, and
// of the instances of one matrix only the first to have trouble at a place
// says so.
func (c *checker) report(at place, suggestion, format string, args ...any) {
	c.raised++
	if c.instance > 0 && at.line > 0 {
		if first, ok := c.claimed[at]; ok && first != c.instance {
			return
		}
		c.claimed[at] = c.instance
	}
	msg := fmt.Sprintf(format, args...)
	key := fmt.Sprintf("%d:%d:%s", at.line, at.col, msg)
	if c.seen[key] {
		return
	}
	if len(c.problems) >= maxProblems {
		c.more++
		return
	}
	c.seen[key] = true
	c.problems = append(c.problems, Problem{
		Pos: c.pos(at), Message: msg, Suggestion: suggestion, Excerpt: c.excerpt(at),
	})
}

// about reports a problem with the value n, and in which instance if the value
// may be another in the next.
func (c *checker) about(n *node, suggestion, format string, args ...any) {
	if n.made {
		format += strings.ReplaceAll(c.inInstance(), "%", "%%")
	}
	c.report(n.at, suggestion, format, args...)
}

func (c *checker) inInstance() string {
	if c.of == "" {
		return ""
	}
	return " (in " + c.of + ")"
}

func (c *checker) pos(at place) Pos { return Pos{File: c.path, Line: at.line, Column: at.col} }

// finish returns the problems in order of place, or nil.
func (c *checker) finish() error {
	if len(c.problems) == 0 {
		return nil
	}
	sort.SliceStable(c.problems, func(i, j int) bool {
		a, b := c.problems[i].Pos, c.problems[j].Pos
		if a.Line != b.Line {
			return a.Line < b.Line
		}
		return a.Column < b.Column
	})
	if c.more > 0 {
		c.problems = append(c.problems, Problem{Pos: Pos{File: c.path}, Message: fmt.Sprintf("and %d more problems", c.more)})
	}
	return c.problems
}

// line returns a line of the source without its end.
func (c *checker) line(n int) string {
	if n < 1 || n > len(c.starts) {
		return ""
	}
	end := len(c.src)
	if n < len(c.starts) {
		end = c.starts[n]
	}
	return strings.TrimRight(c.src[c.starts[n-1]:end], "\r\n")
}

// excerptWidth is how much of a long line is shown around the place.
const excerptWidth = 100

// excerpt shows the line of a place with a caret below it. What a terminal
// would obey rather than show is replaced, a tab by a space, so that the caret
// stands right.
func (c *checker) excerpt(at place) string {
	if at.line < 1 || at.line > len(c.starts) {
		return ""
	}
	runes := shown(c.line(at.line), at.col+2*excerptWidth)
	col := min(max(at.col-1, 0), len(runes))
	from, before, after := 0, "", ""
	if col > excerptWidth-20 {
		from, before = col-excerptWidth/2, "…"
	}
	to := len(runes)
	if to-from > excerptWidth {
		to, after = from+excerptWidth, "…"
	}
	gutter := fmt.Sprintf("%4d | ", at.line)
	blank := strings.Repeat(" ", len(gutter)-2) + "| "
	pad := strings.Repeat(" ", utf8.RuneCountInString(before)+col-from)
	return gutter + before + string(runes[from:to]) + after + "\n" + blank + pad + "^"
}

// shown returns at most n runes of s with what cannot be printed replaced.
func shown(s string, n int) []rune {
	out := make([]rune, 0, min(len(s), n))
	for _, r := range s {
		if len(out) == n {
			break
		}
		switch {
		case r == '\t':
			r = ' '
		case !unicode.IsPrint(r):
			r = '�'
		}
		out = append(out, r)
	}
	return out
}

// quote quotes s for a message, shortened where it is long.
func quote(s string) string {
	const most = 60
	if utf8.RuneCountInString(s) <= most {
		return fmt.Sprintf("%q", s)
	}
	return fmt.Sprintf("%q…", string([]rune(s[:min(len(s), 4*most)])[:most]))
}

// listed joins words for a message, the first few of many.
func listed(words []string) string {
	const most = 8
	if len(words) > most {
		return strings.Join(words[:most], ", ") + fmt.Sprintf(" and %d more", len(words)-most)
	}
	return strings.Join(words, ", ")
}

// maxComparisons bounds the work of finding near words in one spec: a hostile
// file could ask for ten thousand wrong words among ten thousand right ones.
const maxComparisons = 200_000

// nearest returns the candidate that word was most likely meant to be, or "".
func (c *checker) nearest(word string, candidates []string) string {
	c.comparisons += len(candidates)
	if c.comparisons > maxComparisons {
		return ""
	}
	return Nearest(word, candidates)
}

// Nearest returns the candidate with the fewest slips of the pen between it
// and word, the first of equals. If even that one takes more than a third of
// the word it is the only candidate that goes on where word ends, as
// window_samples does with window, or "".
func Nearest(word string, candidates []string) string {
	const longest = 64
	if word == "" || len(word) > longest {
		return ""
	}
	best, limit := "", max(1, len(word)/3)+1
	longer, several := "", false
	for _, cand := range candidates {
		if len(word) >= 3 && strings.HasPrefix(cand, word) && cand != word {
			several = longer != ""
			longer = cand
		}
		if len(cand) > longest || abs(len(cand)-len(word)) >= limit || cand == word {
			continue
		}
		if d := slips(word, cand); d < limit {
			best, limit = cand, d
		}
	}
	if best == "" && !several {
		return longer
	}
	return best
}

// slips is the optimal string alignment distance of two words in bytes:
// letters dropped, added, changed or swapped with their neighbour.
func slips(a, b string) int {
	var rows [3][65]int
	prev2, prev, cur := &rows[0], &rows[1], &rows[2]
	for j := range len(b) + 1 {
		prev[j] = j
	}
	for i := 1; i <= len(a); i++ {
		cur[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			cur[j] = min(prev[j]+1, cur[j-1]+1, prev[j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				cur[j] = min(cur[j], prev2[j-2]+1)
			}
		}
		prev2, prev, cur = prev, cur, prev2
	}
	return prev[len(b)]
}

func abs(n int) int {
	if n < 0 {
		return -n
	}
	return n
}
