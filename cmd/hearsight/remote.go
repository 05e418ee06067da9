package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/hearsight/hearsight/artifacts/remote"
	"github.com/hearsight/hearsight/artifacts/s3"
	"github.com/spf13/cobra"
	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

const remoteHelp = "A remote is a folder, or s3://BUCKET/PREFIX with the credentials of the AWS environment or files (see docs/remotes.md)."

func remoteFlag(c *cobra.Command, to *string, does string) {
	c.Flags().StringVar(to, "remote", "", does+" `REMOTE`: a folder, or s3://BUCKET/PREFIX")
}

// openRemote opens what --remote names. Its error never holds what was given:
// that may be a secret put in the wrong place.
func openRemote(name string, write bool) (remote.Remote, error) {
	scheme, rest, isURL := strings.Cut(name, "://")
	switch {
	case name == "":
		return nil, usagef("name the remote: --remote FOLDER, or --remote s3://BUCKET/PREFIX")
	case scheme == "file" && isURL:
		name = rest
	case isURL || strings.HasPrefix(name, "s3:"):
		b, err := s3.Open(name, s3.Options{})
		if err != nil {
			return nil, usagef("--remote: %w", err)
		}
		return b, nil
	}
	f, err := remote.OpenFolder(name, write)
	if err != nil {
		return nil, usagef("--remote: %w", err)
	}
	return f, nil
}

// A meter shows how far a transfer is: a bar on a terminal, a line every few
// seconds elsewhere, nothing where JSON is printed.
type meter struct {
	mu    sync.Mutex
	w     io.Writer
	quiet bool
	bars  *mpb.Progress
	bar   *mpb.Bar
	name  string
	began time.Time
	said  time.Time
	first int64
}

func (a *app) newMeter() *meter {
	m := &meter{w: a.stderr, quiet: a.json}
	if !a.json && tty(a.stderr) {
		m.bars = mpb.New(mpb.WithOutput(a.stderr), mpb.WithWidth(28))
	}
	return m
}

// tell says that of all bytes of name so many are dealt with.
func (m *meter) tell(name string, done, all int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if name != m.name {
		m.end()
		m.name, m.began, m.said, m.first = name, now, now, done
	}
	switch {
	case m.quiet:
	case m.bars != nil:
		if m.bar == nil {
			m.bar = m.bars.AddBar(all, mpb.BarRemoveOnComplete(), mpb.PrependDecorators(decor.Name(fmt.Sprintf("%-20s", name))),
				mpb.AppendDecorators(decor.CountersKibiByte("% .1f / % .1f"), decor.Name(" "), decor.AverageETA(decor.ET_STYLE_GO)))
		}
		m.bar.SetCurrent(done)
	case now.Sub(m.said) >= sayEvery:
		m.said = now
		rate := float64(done-m.first) / now.Sub(m.began).Seconds()
		left := "?"
		if rate > 0 {
			left = seconds(float64(all-done) / rate)
		}
		fmt.Fprintf(m.w, "%-20s %s of %s, %s/s, %s left\n", name, bytesText(done), bytesText(all), bytesText(int64(rate)), left)
	}
}

// end ends the bar under way. The caller holds m.mu.
func (m *meter) end() {
	if m.bar != nil {
		m.bar.Abort(true)
		m.bar = nil
	}
}

func (m *meter) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.end()
	if m.bars != nil {
		m.bars.Wait()
	}
}
