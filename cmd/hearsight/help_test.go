package main

import (
	"bytes"
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// TestHelp checks that the help of every command has what a newcomer needs: a
// line that says what it does, examples, and words to each flag.
func TestHelp(t *testing.T) {
	for _, c := range commands(newRoot(&bytes.Buffer{}, &bytes.Buffer{})) {
		var stdout, stderr bytes.Buffer
		args := append(strings.Fields(c.CommandPath())[1:], "--help")
		if code := run(args, &stdout, &stderr); code != exitOK || stderr.Len() > 0 {
			t.Errorf("%s --help: exit code %d, stderr %q", c.CommandPath(), code, stderr.String())
		}
		help := stdout.String()
		_, examples, ok := strings.Cut(help, "\nExamples:\n")
		if first, _, _ := strings.Cut(examples, "\n"); !ok || !strings.HasPrefix(strings.TrimSpace(first), "hearsight") {
			t.Errorf("the help of %s has no examples:\n%s", c.CommandPath(), help)
		}
		if c.Short == "" || strings.HasSuffix(c.Short, ".") {
			t.Errorf("%s: its one line is %q", c.CommandPath(), c.Short)
		}
		for _, line := range strings.Split(help, "\n") {
			if f := strings.Fields(line); len(f) > 0 && strings.HasPrefix(f[0], "-") && len(f) < 3 {
				t.Errorf("%s: no words to a flag: %q", c.CommandPath(), line)
			}
		}
	}
}

// commands are c and all below it, but for those that cobra adds.
func commands(c *cobra.Command) []*cobra.Command {
	all := []*cobra.Command{c}
	for _, sub := range c.Commands() {
		if sub.Name() != "help" && sub.Name() != "completion" {
			all = append(all, commands(sub)...)
		}
	}
	return all
}

// shellWord is a word as a shell takes it, in single quotes or out of them.
var shellWord = regexp.MustCompile(`'[^']*'|\S+`)

// TestExamplesParse checks that the examples in the help are commands as the
// program takes them: known commands, known flags, as many arguments as wanted.
func TestExamplesParse(t *testing.T) {
	for _, c := range commands(newRoot(&bytes.Buffer{}, &bytes.Buffer{})) {
		for _, line := range strings.Split(c.Example, "\n") {
			line, _, _ = strings.Cut(line, "   ") // what follows explains it
			line, _, _ = strings.Cut(strings.TrimSpace(line), " #")
			line, _, _ = strings.Cut(line, " >")
			words := shellWord.FindAllString(line, -1)
			for i, w := range words {
				words[i] = strings.Trim(w, "'")
			}
			if len(words) == 0 || words[0] != "hearsight" {
				t.Errorf("%s: the example %q does not begin with hearsight", c.CommandPath(), line)
				continue
			}
			root := newRoot(&bytes.Buffer{}, &bytes.Buffer{})
			found, rest, err := root.Find(words[1:])
			if err == nil {
				err = found.ParseFlags(rest)
			}
			if errors.Is(err, pflag.ErrHelp) {
				continue
			}
			if err == nil && found.Args != nil {
				err = found.Args(found, found.Flags().Args())
			}
			if err != nil {
				t.Errorf("%s: the example %q: %v", c.CommandPath(), line, err)
			}
		}
	}
}
