package tool

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// A Tool is an outside program that was found on this machine.
type Tool struct {
	Name    string
	Path    string // absolute
	Version string // the first line it printed when asked
}

// Find looks name up on PATH and asks it for its version by running it with
// versionArgs (none: "--version"). The first line that is not empty, on stdout
// or else stderr, is the version. The error of a program that is not there
// wraps exec.ErrNotFound.
func Find(ctx context.Context, name string, versionArgs ...string) (Tool, error) {
	path, err := Path(name)
	if err != nil {
		return Tool{}, err
	}
	if len(versionArgs) == 0 {
		versionArgs = []string{"--version"}
	}
	r, err := Run(ctx, Cmd{Path: path, Args: versionArgs, Timeout: 10 * time.Second, MaxOutputBytes: 1 << 20})
	if err != nil {
		return Tool{}, fmt.Errorf("ask %s for its version: %w", name, err)
	}
	for _, text := range []string{string(r.Stdout), r.Stderr} {
		for line := range strings.Lines(text) {
			if line = strings.TrimSpace(strings.ToValidUTF8(line, "?")); line != "" {
				return Tool{Name: name, Path: path, Version: line}, nil
			}
		}
	}
	return Tool{}, fmt.Errorf("ask %s for its version: it printed nothing", name)
}

// PathIn is Path with folders, a list as in PATH, in place of PATH. Entries that
// are not absolute are passed over: they mean another folder to everyone.
func PathIn(folders, name string) (string, error) {
	if strings.Contains(name, "/") {
		return Path(name)
	}
	for _, dir := range filepath.SplitList(folders) {
		if !filepath.IsAbs(dir) {
			continue
		}
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("find %s: %w", name, exec.ErrNotFound)
}

// Path looks name up on PATH and returns where it lies, absolute. A program
// found only through a relative entry of PATH is not taken.
func Path(name string) (string, error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", fmt.Errorf("find %s: %w", name, err)
	}
	if path, err = filepath.Abs(path); err != nil {
		return "", fmt.Errorf("find %s: %w", name, err)
	}
	return path, nil
}
