package pairs

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/hearsight/hearsight/internal/audio"
	"github.com/hearsight/hearsight/internal/table"
	"github.com/hearsight/hearsight/internal/vision"
)

// An Output takes whole parts of an artifact; a stage's task is one.
type Output interface {
	Write(ctx context.Context, name, schema string, fill func(w io.Writer) (rows int64, err error)) error
}

// format is what this package asks of a table.
type format[R any] interface {
	Schema() string
	Ext() string
	Write(w io.Writer, rows iter.Seq2[R, error]) (int64, error)
}

// shards is the number of parts that photos and clips are spread over.
const shards = 16

// window is how many rows are made ahead, a worker.
const window = 4

// WriteCaptions writes the captions part. It orders captions by their ids in
// place; two of one id are an error.
func WriteCaptions(ctx context.Context, out Output, captions []table.Caption) error {
	slices.SortFunc(captions, func(a, b table.Caption) int { return strings.Compare(a.ID, b.ID) })
	for i := 1; i < len(captions); i++ {
		if captions[i].ID == captions[i-1].ID {
			return fmt.Errorf("write captions: two have the id %q", captions[i].ID)
		}
	}
	return write(ctx, out, table.Captions, "captions", func(yield func(table.Caption, error) bool) {
		for _, c := range captions {
			if !yield(c, nil) {
				return
			}
		}
	})
}

// A Load makes the row of one id. Without ok the row is left out: the caller
// has noted why. It is called from several goroutines at once.
type Load[R any] func(id string) (row R, ok bool, err error)

// WritePhotos writes the photos with the given ids, up to workers at once being
// loaded. Equal ids and rows give equal parts for any number of workers.
func WritePhotos(ctx context.Context, out Output, ids []string, workers int, load Load[table.Photo]) error {
	return writeShards(ctx, out, table.Photos, "photos", ids, workers, load)
}

// WriteClips writes the clips with the given ids, as WritePhotos does photos.
func WriteClips(ctx context.Context, out Output, ids []string, workers int, load Load[table.Clip]) error {
	return writeShards(ctx, out, table.Clips, "clips", ids, workers, load)
}

func writeShards[R any](ctx context.Context, out Output, f format[R], name string, ids []string, workers int, load Load[R]) error {
	var shard [shards][]string
	for _, id := range ids {
		h := sha256.Sum256([]byte(id))
		shard[h[0]%shards] = append(shard[h[0]%shards], id)
	}
	for i, ids := range shard {
		slices.Sort(ids)
		rows := loaded(ctx, slices.Compact(ids), max(1, workers), load)
		if err := write(ctx, out, f, fmt.Sprintf("%s-%02d", name, i), rows); err != nil {
			return err
		}
	}
	return nil
}

// write writes a part, or none if there is no first row.
func write[R any](ctx context.Context, out Output, f format[R], name string, rows iter.Seq2[R, error]) error {
	next, stop := iter.Pull2(rows)
	defer stop()
	first, err, ok := next()
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if !ok {
		return nil
	}
	all := func(yield func(R, error) bool) {
		for row, err, ok := first, error(nil), true; ok; row, err, ok = next() {
			if !yield(row, err) {
				return
			}
		}
	}
	return out.Write(ctx, name+f.Ext(), f.Schema(), func(w io.Writer) (int64, error) { return f.Write(w, all) })
}

// loaded yields the rows of ids in their order, made a window at a time.
func loaded[R any](ctx context.Context, ids []string, workers int, load Load[R]) iter.Seq2[R, error] {
	return func(yield func(R, error) bool) {
		for chunk := range slices.Chunk(ids, workers*window) {
			rows, oks := make([]R, len(chunk)), make([]bool, len(chunk))
			g, gctx := errgroup.WithContext(ctx)
			g.SetLimit(workers)
			for i, id := range chunk {
				g.Go(func() (err error) {
					if err = gctx.Err(); err == nil {
						rows[i], oks[i], err = load(id)
					}
					return err
				})
			}
			err := g.Wait()
			for i, row := range rows {
				if (oks[i] || err != nil) && !yield(row, err) || err != nil {
					return
				}
			}
		}
	}
}

// MaxFileBytes is the largest photo or recording: half an hour of WAV.
const MaxFileBytes = 128 << 20

// ReadFile reads a photo or recording that a data set names. What is no regular
// file, or over MaxFileBytes, is an error.
func ReadFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, errors.New("not a regular file")
	case info.Size() > MaxFileBytes:
		return nil, fmt.Errorf("file of %d MiB, the limit is %d: cut it into clips, or compress it", (info.Size()+1<<20-1)>>20, MaxFileBytes>>20)
	}
	return os.ReadFile(path)
}

// Photo returns the row of a photo in one of vision's formats, whose header it
// reads. The error of other bytes is in words for a table of rejects.
func Photo(id string, data []byte) (table.Photo, error) {
	info, err := vision.Probe(data)
	if err != nil {
		return table.Photo{}, fmt.Errorf("not a photo: %w", err)
	}
	return table.Photo{
		ID: id, SHA256: table.SumBytes(data), Format: info.Format, Width: int32(info.Width), Height: int32(info.Height), Bytes: data,
	}, nil
}

// Clip returns the row of a recording, whose headers it reads. A recording that
// this program cannot decode by itself has its row nevertheless: another may.
func Clip(id, text string, data []byte) (table.Clip, error) {
	c := table.Clip{ID: id, SHA256: table.SumBytes(data), Text: text, Audio: data}.NotMeasured()
	info, err := audio.Probe(data)
	switch {
	case errors.Is(err, audio.ErrUnsupported):
		c.Warnings = err.Error()
	case err != nil:
		return table.Clip{}, fmt.Errorf("not a recording: %w", err)
	}
	if info.Format == "mp4" {
		info.Format = "m4a" // the container by the name that its sound files go by
	}
	c.Format, c.SampleRateHz, c.Channels, c.Seconds = info.Format, int32(info.SampleRateHz), int32(info.Channels), info.DurationSec
	c.Codec, c.SourceRateHz, c.SourceChannels = info.Codec, c.SampleRateHz, c.Channels
	return c, nil
}
