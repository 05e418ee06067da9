package exec

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/tool"
	"github.com/hearsight/hearsight/stages/stage"
)

// prepareFolder lays out the command's folder anew: what an attempt before left
// is removed.
func prepareFolder(t *stage.Task) error {
	err := layOut(t)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	left, err := os.ReadDir(t.Dir)
	if err != nil {
		return err
	}
	for _, e := range left {
		if err := os.RemoveAll(filepath.Join(t.Dir, e.Name())); err != nil {
			return err
		}
	}
	return layOut(t)
}

// layOut makes the folder out first: where that is, an attempt was before.
func layOut(t *stage.Task) error {
	if err := os.Mkdir(filepath.Join(t.Dir, "out"), 0o755); err != nil {
		return err
	}
	if len(t.Inputs["in"]) > 0 {
		if err := os.Mkdir(filepath.Join(t.Dir, "in"), 0o755); err != nil {
			return err
		}
	}
	for i, a := range t.Inputs["in"] {
		if err := export(a, filepath.Join(t.Dir, "in", fmt.Sprint(i))); err != nil {
			return fmt.Errorf("input %d: %w", i, err)
		}
	}
	own := t.Paths["files"]
	if own == "" {
		return nil
	}
	own, err := filepath.Abs(own)
	if err != nil {
		return err
	}
	return os.Symlink(own, filepath.Join(t.Dir, "files"))
}

// export copies the parts of an artifact into a folder. They are copies so that
// no command can reach into the store.
func export(a *artifacts.Artifact, dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	for _, p := range a.Manifest.Parts {
		if err := checkName(p.Name); err != nil {
			return err
		}
		from, err := a.Open(p)
		if err != nil {
			return err
		}
		if p.Schema == filesSchema {
			if err := errors.Join(unpack(from, p.Size, dir), from.Close()); err != nil {
				return fmt.Errorf("%s: %w", p.Name, err)
			}
			continue
		}
		to, err := createOutput(filepath.Join(dir, filepath.FromSlash(p.Name)))
		if err != nil {
			return errors.Join(err, from.Close())
		}
		_, err = io.Copy(to, from)
		if err = errors.Join(err, to.Chmod(0o444), to.Close(), from.Close()); err != nil {
			return err
		}
	}
	return nil
}

// unpack writes the files of an archive into a folder: a command sees the
// results of exec_each as if it had made them one by one.
func unpack(f *os.File, size int64, dir string) error {
	for h, body := range archived(f, size) {
		if body.err != nil {
			return body.err
		}
		if err := checkName(h.Name); err != nil {
			return err
		}
		to, err := createOutput(filepath.Join(dir, filepath.FromSlash(h.Name)))
		if err != nil {
			return err
		}
		_, err = io.Copy(to, body.r)
		if err = errors.Join(err, to.Chmod(0o444), to.Close()); err != nil {
			return err
		}
	}
	return nil
}

// createOutput creates a new file and the folders it lies in.
func createOutput(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
}

// gather takes the declared outputs over and finds everything that is wrong
// with what the command left.
func gather(ctx context.Context, t *stage.Task, outputs []string) error {
	dir := filepath.Join(t.Dir, "out")
	found, err := files(dir)
	if err != nil {
		return fmt.Errorf("look at the outputs: %w", err)
	}
	var problems []error
	for _, name := range outputs {
		if mode, ok := found[name]; !ok {
			problems = append(problems, fmt.Errorf("output %q is missing", name))
		} else if !mode.IsRegular() {
			problems = append(problems, fmt.Errorf("output %q is not a regular file: %v", name, mode))
		}
		delete(found, name)
	}
	var extra []string
	for name := range found {
		extra = append(extra, name)
	}
	slices.Sort(extra)
	for _, name := range extra {
		problems = append(problems, fmt.Errorf("the command left %q, which is not declared", name))
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close() // only read
	if err := checkSize(root, outputs, tool.LimitsOf(ctx).OutputBytes); err != nil {
		return err
	}
	for _, name := range slices.Sorted(slices.Values(outputs)) {
		if err := t.Write(ctx, name, "", func(w io.Writer) (int64, error) { return 0, copyFile(w, root, name) }); err != nil {
			return fmt.Errorf("take output %q: %w", name, err)
		}
	}
	return nil
}

// checkSize holds the outputs together to what one of them may be. 0: anything.
func checkSize(root *os.Root, outputs []string, limit int64) error {
	var all int64
	for _, name := range outputs {
		if limit == 0 {
			break
		}
		info, err := root.Lstat(filepath.FromSlash(name))
		if err != nil {
			return err
		}
		if all += info.Size(); all > limit {
			return fmt.Errorf("the outputs have more than the %d bytes that resources allow", limit)
		}
	}
	return nil
}

// copyFile copies a regular file. What it was when it was looked at is no
// promise, and reading a pipe would wait for ever.
func copyFile(w io.Writer, root *os.Root, name string) error {
	f, err := root.OpenFile(filepath.FromSlash(name), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("it is no regular file any more")
	}
	if err == nil {
		// Not io.Copy, whose buffer is larger than most outputs.
		_, err = io.CopyBuffer(w, struct{ io.Reader }{f}, make([]byte, min(info.Size()+1, 64<<10)))
	}
	return errors.Join(err, f.Close())
}

// files lists everything below dir that is not a folder, with slashes, without
// following links.
func files(dir string) (map[string]fs.FileMode, error) {
	out := map[string]fs.FileMode{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		out[filepath.ToSlash(rel)] = d.Type()
		return err
	})
	return out, err
}
