package spec

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"
)

// Options is what is said beside the file.
type Options struct {
	Set map[string]string // values of variables, as --set gives them
}

// Load reads and checks the spec at path. The error is Problems, which names
// everything that is wrong, unless the file could not be read at all.
func Load(path string, kinds []Kind, o Options) (*Pipeline, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read spec: %w", err)
	}
	defer f.Close()
	// One byte over the limit tells Parse enough; a device or a huge file is
	// not read further.
	data, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read spec %s: %w", path, err)
	}
	return Parse(path, data, kinds, o)
}

// Parse checks the spec in data; path is for its messages. The error, if any,
// is Problems.
func Parse(path string, data []byte, kinds []Kind, o Options) (*Pipeline, error) {
	c := &checker{path: path, seen: map[string]bool{}, claimed: map[place]int{}, kinds: map[string]*Kind{}}
	for i := range kinds {
		c.kinds[kinds[i].Name] = &kinds[i]
		c.kindNames = append(c.kindNames, kinds[i].Name)
	}
	root := c.read(data)
	if root == nil {
		return nil, c.finish()
	}
	p := c.pipeline(root, o)
	if err := c.finish(); err != nil {
		return nil, err
	}
	return p, nil
}

// A checker goes through one spec and gathers its problems.
type checker struct {
	path   string
	src    string
	starts []int // byte offset of each line

	problems    Problems
	raised      int // problems met, those not kept counted
	more        int
	seen        map[string]bool
	claimed     map[place]int // which instance of the present stage spoke of a place first
	instance    int           // 1 + index of the instance being checked; 0: none
	of          string        // its name, if it has a matrix
	comparisons int
	spent       int // nodes and text made by ${…} and matrices

	kinds      map[string]*Kind
	kindNames  []string
	vars       map[string]*node
	varNames   []string
	stages     []*rawStage
	stageNames []string
	byName     map[string]*rawStage
	instances  map[string]ref // every instance name
}

// read turns the file into a tree, or reports why that cannot be done.
func (c *checker) read(data []byte) *node {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	if len(data) > maxBytes {
		c.report(place{}, "", "the file is larger than %d MiB", maxBytes>>20)
		return nil
	}
	c.src = string(data)
	c.starts = append(c.starts, 0)
	for i := range data {
		if data[i] == '\n' {
			c.starts = append(c.starts, i+1)
		}
	}
	if !c.scan() {
		return nil
	}
	doc, err := parseYAML(bytes.NewReader(data))
	if err != nil {
		c.syntax(data, err)
		return nil
	}
	if doc == nil || len(doc.Content) == 0 {
		c.report(place{}, "", "the file is empty: a spec begins with \"version: 1\"")
		return nil
	}
	v := &converter{c: c, anchored: map[*yaml.Node]*node{}, source: count(doc)}
	if v.source > maxNodes {
		c.report(place{}, "", "more than %d keys and values", maxNodes)
		return nil
	}
	root := v.node(doc.Content[0], 0)
	if v.stop {
		return nil
	}
	return root
}

// scan looks for what must not reach the parser: bytes that are not text, and
// more keys and values than memory should be spent on.
func (c *checker) scan() bool {
	if !utf8.ValidString(c.src) {
		for i, s := range c.starts {
			end := len(c.src)
			if i+1 < len(c.starts) {
				end = c.starts[i+1]
			}
			if !utf8.ValidString(c.src[s:end]) {
				c.report(place{i + 1, 1}, "", "not UTF-8 text")
				return false
			}
		}
	}
	// Every node but the first stands beside one of these, a key with its value.
	nodes := 0
	for i := range len(c.src) {
		switch c.src[i] {
		case ',', ':', '?':
			nodes += 2
		case '[', '{', '\n':
			nodes++
		case '-':
			if i+1 == len(c.src) || strings.IndexByte(" \t\r\n", c.src[i+1]) >= 0 {
				nodes++
			}
		}
	}
	if nodes > 2*maxNodes {
		c.report(place{}, "", "more than %d keys and values", maxNodes)
		return false
	}
	return true
}

// count returns how many nodes the file has, aliases as one.
func count(root *yaml.Node) int {
	n, todo := 0, []*yaml.Node{root}
	for len(todo) > 0 {
		y := todo[len(todo)-1]
		todo = append(todo[:len(todo)-1], y.Content...)
		n++
	}
	return n
}
