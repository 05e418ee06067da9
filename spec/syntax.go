package spec

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// A drip hands out its bytes one at a time and so knows, when the parser
// stops, how far it had read. The parser itself tells only a line, and for
// most errors that of the map or list around the place.
type drip struct {
	data []byte
	n    int
}

func (d *drip) Read(p []byte) (int, error) {
	if d.n == len(d.data) {
		return 0, io.EOF
	}
	if len(p) == 0 {
		return 0, nil
	}
	p[0] = d.data[d.n]
	d.n++
	return 1, nil
}

// errSecond is a second document in the file.
type errSecond struct{ at place }

func (e *errSecond) Error() string { return "a second document: a spec is one" }

// parseYAML parses what r yields, which must be one document; nil is none.
func parseYAML(r io.Reader) (doc *yaml.Node, err error) {
	// The parser signals its own errors by panics and lets others through.
	defer func() {
		if r := recover(); r != nil {
			doc, err = nil, fmt.Errorf("the YAML parser gave up: %v", r)
		}
	}()
	d := yaml.NewDecoder(r)
	doc = new(yaml.Node)
	if err := d.Decode(doc); err != nil {
		if errors.Is(err, io.EOF) {
			return nil, nil
		}
		return nil, err
	}
	var second yaml.Node
	switch err := d.Decode(&second); {
	case errors.Is(err, io.EOF):
		return doc, nil
	case err != nil:
		return nil, err
	}
	return nil, &errSecond{place{second.Line, second.Column}}
}

// where says which place goes with an error of the parser.
type where uint8

const (
	atLine  where = iota // the line that the parser gives, its first character
	atRead               // the line where the parser stopped, its first character
	atColon              // the last colon before where the parser stopped
	atOpen               // where the parser stopped, in a bracket opened at its line
	atByte               // where the parser stopped
)

// syntaxErrors puts the parser's words into ours.
var syntaxErrors = []struct {
	theirs *regexp.Regexp
	ours   string // %s: what the expression caught
	at     where
}{
	{regexp.MustCompile(`^did not find expected key$`), "the indentation does not fit: a key of the map above should stand here", atRead},
	{regexp.MustCompile(`^did not find expected '-' indicator$`), "the indentation does not fit: an entry (-) of the list above should stand here", atRead},
	{regexp.MustCompile(`^did not find expected node content$`), "there should be a value here", atRead},
	{regexp.MustCompile(`^did not find expected (',' or '[\]}]')$`), "there should be %s here", atOpen},
	{regexp.MustCompile(`^did not find expected <document start>$`), "text after the end of the spec", atRead},
	{regexp.MustCompile(`^mapping values are not allowed`), "a colon cannot stand here: indent the line as its neighbours, or put the text in quotes", atColon},
	{regexp.MustCompile(`^block sequence entries are not allowed`), "a list entry (-) cannot stand here: check the indentation", atRead},
	{regexp.MustCompile(`^could not find expected ':'`), "a key without a colon", atLine},
	{regexp.MustCompile(`^found unexpected end of stream`), "a quote that is not closed", atLine},
	{regexp.MustCompile(`^found character that cannot start any token`), "this character cannot begin a value: put the text in quotes", atByte},
	{regexp.MustCompile(`^exceeded max depth`), fmt.Sprintf("maps and lists stand more than %d deep in each other", maxDepth), atRead},
	{regexp.MustCompile(`^unknown anchor '(.*)' referenced`), "there is no anchor &%[1]s before the alias *%[1]s", atRead},
	{regexp.MustCompile(`^(.*)$`), "this is not YAML: %s", atLine},
}

var yamlLine = regexp.MustCompile(`^(?:yaml: )?(?:line (\d+): )?`)

// syntax reports the error err that the parser had with data.
func (c *checker) syntax(data []byte, err error) {
	var second *errSecond
	if errors.As(err, &second) {
		c.report(second.at, "", "%v", err)
		return
	}
	if at, ok := c.control(); ok {
		c.report(at, "", "a control character: text has none, but in quotes it may be written as \\x1b")
		return
	}
	msg := err.Error()
	m := yamlLine.FindStringSubmatch(msg)
	msg = strings.TrimPrefix(msg, m[0])
	line, _ := strconv.Atoi(m[1]) // no line is the first
	d := &drip{data: data}
	_, _ = parseYAML(d) // the same error again: only how far it came is wanted
	for _, e := range syntaxErrors {
		sub := e.theirs.FindStringSubmatch(msg)
		if sub == nil {
			continue
		}
		text := e.ours
		if len(sub) > 1 {
			text = fmt.Sprintf(e.ours, sub[1])
		}
		at := c.stopped(d.n, e.at, max(line, 1))
		switch {
		case strings.HasPrefix(strings.TrimLeft(c.line(at.line), " "), "\t"):
			text, at = "a tab in the indentation: YAML takes spaces only", c.firstOf(at.line)
		case e.at == atOpen && line+1 < at.line:
			text += fmt.Sprintf(": a bracket of line %d is still open", line+1)
		}
		c.report(at, "", "%s", text)
		return
	}
}

// stopped returns the place of an error when the parser had read n bytes.
func (c *checker) stopped(n int, w where, line int) place {
	if w == atLine {
		return c.firstOf(min(line, len(c.starts)))
	}
	end := len(strings.TrimRightFunc(c.src[:n], unicode.IsSpace))
	if w == atColon {
		if i := strings.LastIndexByte(c.src[:end], ':'); i >= 0 {
			return c.placeOf(i)
		}
	}
	at := c.placeOf(max(end-1, 0))
	if w == atOpen || w == atByte {
		return at
	}
	return c.firstOf(at.line)
}

// firstOf is the place of the first character of a line that is no space.
func (c *checker) firstOf(line int) place {
	text := c.line(line)
	return place{line, len(text) - len(strings.TrimLeft(text, " ")) + 1}
}

// placeOf is the place of a byte of the source.
func (c *checker) placeOf(offset int) place {
	line := 1
	for line < len(c.starts) && c.starts[line] <= offset {
		line++
	}
	return place{line, utf8.RuneCountInString(c.src[c.starts[line-1]:offset]) + 1}
}

// control finds the first control character that YAML forbids in text.
func (c *checker) control() (place, bool) {
	i := bytes.IndexFunc([]byte(c.src), func(r rune) bool {
		return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == 0x7f
	})
	if i < 0 {
		return place{}, false
	}
	return c.placeOf(i), true
}
