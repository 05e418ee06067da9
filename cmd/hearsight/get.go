package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/atomicfile"
	"github.com/hearsight/hearsight/internal/rows"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/pipeline"
	"github.com/spf13/cobra"
)

// copyLines hands r to w line by line, as zerolog's console writer wants it.
func copyLines(w io.Writer, r io.Reader) error {
	in := bufio.NewScanner(r)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		if _, err := w.Write(append(in.Bytes(), '\n')); err != nil {
			return err
		}
	}
	return in.Err()
}

func (a *app) digestCommand() *cobra.Command {
	return &cobra.Command{
		Use:               "digest [STAGE...]",
		Short:             "Print stage and digest, one line each: two runs can be compared with diff",
		Example:           "  hearsight digest\n  hearsight digest scores",
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: a.completeStages,
		RunE: func(c *cobra.Command, args []string) error {
			return a.planned(c.Context(), pipeline.Selection{Targets: args}, func(p *pipeline.Plan, _ *artifacts.Store) error {
				out := map[string]string{}
				for _, x := range p.Actions {
					named := len(args) == 0 || slices.Contains(args, x.Stage.Name) || slices.Contains(args, x.Stage.Base)
					if !named || x.Artifact == nil {
						continue
					}
					out[x.Stage.Name] = x.Artifact.Digest.String()
					if !a.json {
						fmt.Fprintf(a.stdout, "%s %s\n", x.Stage.Name, x.Artifact.Digest)
					}
				}
				if a.json {
					return a.printJSON(out)
				}
				return nil
			})
		},
	}
}

func (a *app) getCommand() *cobra.Command {
	var unpack bool
	c := &cobra.Command{
		Use:               "get STAGE DIR",
		Short:             "Copy a stage's result into a folder",
		Long:              "Copies the parts of a stage's result into DIR. With --unpack the sound or photos inside its tables are written out as files too.",
		Example:           "  hearsight get mfcc out/mfcc\n  hearsight get --unpack speech out/speech",
		Args:              cobra.ExactArgs(2),
		ValidArgsFunction: a.completeStages,
		RunE: func(c *cobra.Command, args []string) error {
			return a.planned(c.Context(), pipeline.Selection{Targets: args[:1]}, func(p *pipeline.Plan, _ *artifacts.Store) error {
				art, err := result(p, args[0])
				if err != nil {
					return err
				}
				n, err := export(c.Context(), art, args[1])
				if err == nil && unpack {
					var m int
					m, err = unpackMedia(art, args[1])
					n += m
				}
				if err != nil {
					return err
				}
				fmt.Fprintf(a.stderr, "%d files in %s\n", n, printable(args[1]))
				return nil
			})
		},
	}
	c.Flags().BoolVar(&unpack, "unpack", false, "write the clips or photos inside the tables out as files")
	return c
}

// export copies the parts of an artifact into dir, each whole or not at all.
func export(ctx context.Context, art *artifacts.Artifact, dir string) (int, error) {
	for _, part := range art.Manifest.Parts {
		if err := ctx.Err(); err != nil {
			return 0, err
		}
		if !filepath.IsLocal(filepath.FromSlash(part.Name)) {
			return 0, fmt.Errorf("part %q does not stay in its folder", part.Name)
		}
		r, err := art.Open(part)
		if err != nil {
			return 0, err
		}
		err = writeFrom(filepath.Join(dir, filepath.FromSlash(part.Name)), r)
		if err = errors.Join(err, r.Close()); err != nil {
			return 0, err
		}
	}
	return len(art.Manifest.Parts), nil
}

func writeFrom(path string, r io.Reader) error {
	return writeWith(path, func(w io.Writer) error {
		_, err := io.Copy(w, r)
		return err
	})
}

// writeWith writes the file at path, whole or not at all, and makes its folder.
func writeWith(path string, fill func(io.Writer) error) (err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	w, err := atomicfile.Create(path, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if err := fill(w); err != nil {
		return err
	}
	return w.Commit()
}

// unpackMedia writes the clips and photos of an artifact as files of their own.
func unpackMedia(art *artifacts.Artifact, dir string) (int, error) {
	n, used := 0, map[string]bool{}
	save := func(id, format string, data []byte) error {
		name := fileName(id, format)
		for i := 2; used[strings.ToLower(name)]; i++ {
			name = fileName(fmt.Sprintf("%s~%d", id, i), format)
		}
		used[strings.ToLower(name)] = true
		n++
		return writeFrom(filepath.Join(dir, name), strings.NewReader(string(data)))
	}
	clips, err := rows.Each(table.Clips, art, func(c table.Clip) error { return save(c.ID, c.Format, c.Audio) })
	if err != nil {
		return n, err
	}
	photos, err := rows.Each(table.Photos, art, func(p table.Photo) error { return save(p.ID, p.Format, p.Bytes) })
	if err == nil && clips+photos == 0 {
		err = usagef("there are no clips or photos in it to unpack")
	}
	return n, err
}

// fileName makes a name for an item's file that is safe on any file system:
// an id may hold anything.
func fileName(id, format string) string {
	safe := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', strings.ContainsRune("._-#@+~", r):
			return r
		}
		return '_'
	}, id)
	safe = strings.TrimLeft(safe, ".-")
	const most = 200
	if len(safe) > most {
		safe = safe[:most]
	}
	if safe == "" {
		safe = "item"
	}
	if format == "jpeg" {
		format = "jpg"
	}
	if strings.HasSuffix(strings.ToLower(safe), "."+format) {
		return safe
	}
	return safe + "." + format
}
