package tts

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// espeakData is the name that espeak-ng's data folder has below any --path.
const espeakData = "espeak-ng-data"

// probeText holds scripts, digits and signs for which espeak-ng turns to
// dictionaries of other languages than the voice's.
const probeText = "The 3 dogs of Dr. Smith's, 1999: собака, σκύλος, 狗, كلب, कुत्ता, 개, chien-là! 😀 & <b> [x] @ 50%"

// slim lays out a data folder in which espeak-ng finds the voices that are
// wanted and no others: for each caption it reads the file of every voice that
// there is, over a hundred, which is a quarter of its time. All else is there,
// so the sound is the same. That is tried with a text first, and where it is not
// the same the folder is not used.
func (e *espeak) slim(ctx context.Context, dir string, voices []string) (done func() error, err error) {
	none := func() error { return nil }
	if e.dataDir == "" {
		return none, nil
	}
	root, err := os.MkdirTemp(dir, "espeak-*")
	if err != nil {
		return nil, err
	}
	done = func() error { return os.RemoveAll(root) }
	drop := func(err error) (func() error, error) {
		e.slimPath = ""
		return none, errors.Join(err, done())
	}
	if err := linkData(e.dataDir, filepath.Join(root, espeakData), e.files); err != nil {
		return drop(ctx.Err()) // it is as fast as it was
	}
	for _, v := range voices {
		u := utterance{text: probeText, voice: v, rate: usualRate, pitch: 50}
		e.slimPath = ""
		want, _, err := e.sound(ctx, u, dir)
		if err != nil {
			return drop(ctx.Err())
		}
		e.slimPath = filepath.Base(root) // dir is where it runs; a long path it would cut
		if got, _, err := e.sound(ctx, u, dir); err != nil || !bytes.Equal(got, want) {
			return drop(ctx.Err())
		}
	}
	return done, nil
}

// linkData makes a folder of links to all that lies in from, but for the voices
// that are not among files.
func linkData(from, to string, files []string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return fmt.Errorf("read espeak-ng's data: %w", err)
	}
	if err := os.Mkdir(to, 0o755); err != nil {
		return err
	}
	for _, entry := range entries {
		if name := entry.Name(); name != "lang" && name != "voices" {
			if err := os.Symlink(filepath.Join(from, name), filepath.Join(to, name)); err != nil {
				return err
			}
		}
	}
	for _, name := range files {
		name = filepath.FromSlash(name)
		if _, err := os.Stat(filepath.Join(from, name)); err != nil {
			continue // of lang/ and voices/ one has it
		}
		if err := os.MkdirAll(filepath.Join(to, filepath.Dir(name)), 0o755); err != nil {
			return err
		}
		if err := os.Symlink(filepath.Join(from, name), filepath.Join(to, name)); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	return nil
}
