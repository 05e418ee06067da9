package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/atomicfile"
	"github.com/hearsight/hearsight/internal/inspect"
	"github.com/hearsight/hearsight/pipeline"
	"github.com/spf13/cobra"
)

// inspectFlags are the flags of `inspect`.
type inspectFlags struct {
	o              inspect.Options
	format, output string
	png            string
}

func (a *app) inspectCommand() *cobra.Command {
	var f inspectFlags
	c := &cobra.Command{
		Use:   "inspect STAGE[/PART] | FILE",
		Short: "Show the schema, rows and statistics of a stage's result or of a file",
		Long: "Shows what is in a stage's result, in one part of it, or in a file: Parquet, Arrow, NumPy, safetensors, WAV, AIFF, MP3, M4A, PNG, JPEG.\n" +
			"A name that is a stage's and a file's is the stage's; write ./NAME for the file. Files are read in a process of their own, with limits: a damaged one cannot harm.",
		Example: "  hearsight inspect mfcc\n" +
			"  hearsight inspect mfcc --row '1000268201_693b08cb0e.jpg#0'          one clip, drawn\n" +
			"  hearsight inspect wav --row ID --png clip.png                      waveform and mel spectrogram, here and as a picture\n" +
			"  hearsight inspect wav --row ID --export wav -o clip.wav\n" +
			"  hearsight inspect scores/ranks.parquet --export csv\n" +
			"  hearsight inspect some.parquet",
		Args:              cobra.ExactArgs(1),
		ValidArgsFunction: a.completeStages,
		RunE: func(c *cobra.Command, args []string) error {
			if f.format != "" && !slices.Contains(inspect.Formats, f.format) {
				return usagef("--export %s: want one of %s", f.format, strings.Join(inspect.Formats, ", "))
			}
			if f.output != "" && f.format == "" {
				return usagef("-o goes with --export")
			}
			if f.png != "" && (f.o.Row == "" || f.format != "") {
				return usagef("--png goes with --row, and without --export")
			}
			f.o.Color = tty(a.stdout) && !a.json && os.Getenv("NO_COLOR") == ""
			return a.inspect(c.Context(), args[0], f)
		},
	}
	c.Flags().StringVar(&f.o.Row, "row", "", "show the row with this `ID`")
	c.Flags().StringVar(&f.png, "png", "", "write the drawing of --row to this `FILE`, too, as a PNG")
	c.Flags().IntVar(&f.o.Sample, "sample", 0, "how many rows to show (default 5, -1 for none)")
	c.Flags().BoolVar(&f.o.Full, "full", false, "statistics over all of a large file, however long it takes")
	c.Flags().StringVar(&f.format, "export", "", "write rows, or the one of --row, as `FORMAT`: "+strings.Join(inspect.Formats, ", "))
	c.Flags().StringVarP(&f.output, "output", "o", "", "write to this file (default: standard output)")
	return c
}

func (a *app) inspect(ctx context.Context, name string, f inspectFlags) error {
	base, part, _ := strings.Cut(name, "/")
	if !a.isStage(base) {
		return a.inspectFile(ctx, name, f)
	}
	return a.planned(ctx, pipeline.Selection{Targets: []string{base}}, func(p *pipeline.Plan, _ *artifacts.Store) error {
		art, err := result(p, base)
		if err != nil {
			return err
		}
		parts := art.Manifest.Parts
		if part != "" {
			one, ok := art.Part(part)
			if !ok {
				return usagef("%s has no part %q: `hearsight inspect %s` lists them", base, part, base)
			}
			parts = []artifacts.Part{one}
		}
		if f.o.Row == "" && f.format == "" && part == "" {
			return a.inspectParts(ctx, base, art, f)
		}
		return a.inspectRows(ctx, art, parts, f)
	})
}

// isStage reports whether name is a stage of the spec. Without a spec that can
// be read nothing is.
func (a *app) isStage(name string) bool {
	p, err := a.spec()
	if err != nil {
		return false
	}
	_, err = p.Select([]string{name})
	return err == nil && name != ""
}

func (a *app) inspectFile(ctx context.Context, file string, f inspectFlags) error {
	if _, err := os.Stat(file); err != nil {
		if _, specErr := a.spec(); specErr != nil && !strings.ContainsAny(file, "./") {
			return specErr
		}
		return usagef("%s is neither a stage of %s nor a file", file, a.file)
	}
	if f.format != "" {
		return a.exportTo(f, func(w io.Writer) error { return inspect.Export(ctx, file, w, f.format, f.o) })
	}
	r, err := inspect.File(ctx, file, f.o)
	if err != nil {
		return err
	}
	if err := a.printReport(r); err != nil {
		return err
	}
	return a.drawTo(ctx, file, f)
}

func (a *app) printReport(r *inspect.Report) error {
	if a.json {
		return a.printJSON(r)
	}
	return r.Print(a.stdout)
}

// inspectParts lists the parts, and shows the first of each schema.
func (a *app) inspectParts(ctx context.Context, name string, art *artifacts.Artifact, f inspectFlags) error {
	type shown struct {
		Digest artifacts.Digest  `json:"digest"`
		Type   string            `json:"type"`
		Items  int64             `json:"items"`
		Parts  []artifacts.Part  `json:"parts"`
		First  []*inspect.Report `json:"first"` // of each schema
	}
	out := shown{Digest: art.Digest, Type: art.Manifest.Type, Items: art.Manifest.Items, Parts: art.Manifest.Parts}
	seen := map[string]bool{}
	for _, p := range art.Manifest.Parts {
		if key := p.Schema + path.Ext(p.Name); p.Schema == "" || seen[key] || !readable(p.Name) {
			continue
		} else {
			seen[key] = true
		}
		r, err := inspectPart(ctx, art, p, f.o)
		if err != nil {
			return err
		}
		out.First = append(out.First, r)
	}
	if a.json {
		return a.printJSON(out)
	}
	fmt.Fprintf(a.stdout, "%s: %s, %d items, %s\n", name, out.Type, out.Items, out.Digest)
	w := tabwriter.NewWriter(a.stdout, 0, 0, 2, ' ', 0)
	for _, p := range out.Parts {
		fmt.Fprintf(w, "  %s\t%d rows\t%s\t%s\n", p.Name, p.Rows, bytesText(p.Size), p.Schema)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, r := range out.First {
		fmt.Fprintln(a.stdout)
		if err := r.Print(a.stdout); err != nil {
			return err
		}
	}
	return nil
}

// readable reports whether inspect knows files of this name.
func readable(name string) bool {
	return slices.Contains([]string{".parquet", ".arrow", ".npy", ".safetensors", ".wav", ".png", ".jpg"}, path.Ext(name))
}

// inspectPart reports on a part: the file behind it, under the part's name.
func inspectPart(ctx context.Context, art *artifacts.Artifact, p artifacts.Part, o inspect.Options) (*inspect.Report, error) {
	file, err := art.Open(p)
	if err != nil {
		return nil, err
	}
	r, err := inspect.File(ctx, file.Name(), o)
	if err = errors.Join(err, file.Close()); err != nil {
		return nil, fmt.Errorf("%s: %w", p.Name, err)
	}
	r.Path = p.Name
	return r, nil
}

// inspectRows shows or exports rows: the one of --row from whichever part has
// it, or all of them, part after part.
func (a *app) inspectRows(ctx context.Context, art *artifacts.Artifact, parts []artifacts.Part, f inspectFlags) error {
	missing := false
	for _, p := range parts {
		if !readable(p.Name) {
			continue
		}
		var err error
		if f.format == "" {
			var r *inspect.Report
			if r, err = inspectPart(ctx, art, p, f.o); err == nil {
				if err = a.printReport(r); err == nil && f.o.Row == "" {
					continue
				}
			}
			if err == nil && f.png != "" {
				err = a.drawPart(ctx, art, p, f)
			}
		} else {
			err = a.exportPart(ctx, art, p, f, len(parts))
		}
		if err == nil && f.o.Row != "" {
			return nil
		}
		if err != nil && (f.o.Row == "" || !inspect.IsNoRow(err)) {
			return err
		}
		missing = missing || err != nil
	}
	if missing {
		return fmt.Errorf("there is no row %q in %d parts", f.o.Row, len(parts))
	}
	return nil
}

func (a *app) exportPart(ctx context.Context, art *artifacts.Artifact, p artifacts.Part, f inspectFlags, parts int) error {
	if f.o.Row == "" && parts > 1 && f.output != "" {
		return usagef("the result has %d parts: name one (STAGE/PART) to export all its rows to a file, or leave out -o", parts)
	}
	file, err := art.Open(p)
	if err != nil {
		return err
	}
	err = a.exportTo(f, func(w io.Writer) error { return inspect.Export(ctx, file.Name(), w, f.format, f.o) })
	return errors.Join(err, file.Close())
}

// drawPart writes the row's drawing as a PNG.
func (a *app) drawPart(ctx context.Context, art *artifacts.Artifact, p artifacts.Part, f inspectFlags) error {
	file, err := art.Open(p)
	if err != nil {
		return err
	}
	return errors.Join(a.drawTo(ctx, file.Name(), f), file.Close())
}

// drawTo writes the drawing of the row of a file as a PNG, if one is wanted.
func (a *app) drawTo(ctx context.Context, file string, f inspectFlags) error {
	if f.png == "" {
		return nil
	}
	f.format, f.output = "png", f.png
	return a.exportTo(f, func(w io.Writer) error { return inspect.Export(ctx, file, w, f.format, f.o) })
}

// exportTo hands the output file, made whole or not at all, or standard output.
func (a *app) exportTo(f inspectFlags, write func(io.Writer) error) (err error) {
	if f.output == "" {
		return write(a.stdout)
	}
	w, err := atomicfile.Create(f.output, 0o644)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	if err := write(w); err != nil {
		return err
	}
	return w.Commit()
}
