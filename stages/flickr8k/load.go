package flickr8k

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/hearsight/hearsight/internal/pairs"
)

// A dataset is what the folder says, before anything is chosen.
type dataset struct {
	root     string
	imageDir string
	photos   map[string]bool // names of the files in imageDir
	captions []caption
}

// A caption is one line of the captions file.
type caption struct {
	photo string // "1000268201_693b08cb0e.jpg"
	index int    // 0 to 4
	text  string
}

// id is the caption's key in the original file.
func (c caption) id() string { return c.photo + "#" + strconv.Itoa(c.index) }

// The names that copies of the data set use.
var (
	imageDirs    = []string{"images", "Images", "Flicker8k_Dataset", "Flickr8k_Dataset"}
	captionFiles = []string{"Flickr8k.token.txt", "captions.txt", "Flickr8k_text/Flickr8k.token.txt"}
	splitFiles   = map[string]string{
		"train": "Flickr_8k.trainImages.txt", "validation": "Flickr_8k.devImages.txt", "test": "Flickr_8k.testImages.txt",
	}
)

// maxTextFileBytes is 30 times the captions file.
const maxTextFileBytes = 128 << 20

func load(root string) (*dataset, error) {
	d := &dataset{root: root, photos: map[string]bool{}}
	dir, err := first(root, imageDirs)
	if err != nil {
		return nil, err
	}
	d.imageDir = dir
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, e := range entries {
		d.photos[e.Name()] = !e.IsDir()
	}
	file, err := first(root, captionFiles)
	if err != nil {
		return nil, err
	}
	data, err := readText(file)
	if err != nil {
		return nil, err
	}
	if d.captions, err = parseCaptions(data); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return d, nil
}

// first returns the first of names that exists below root.
func first(root string, names []string) (string, error) {
	for _, n := range names {
		path := filepath.Join(root, filepath.FromSlash(n))
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s holds none of %s", root, strings.Join(names, ", "))
}

func readText(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() || info.Size() > maxTextFileBytes {
		return nil, fmt.Errorf("%s is not a file of at most %d MiB", path, maxTextFileBytes>>20)
	}
	return os.ReadFile(path)
}

// parseCaptions reads the captions file in either of its forms: lines of
// "photo.jpg#0<tab>caption", or a CSV with the header "image,caption" and five
// rows a photo. All that is wrong is reported at once.
func parseCaptions(data []byte) ([]caption, error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	var out []caption
	var problems pairs.Problems
	var err error
	if bytes.HasPrefix(data, []byte("image,caption")) {
		out, err = parseCSV(data)
	} else {
		out = parseTokens(data, &problems)
	}
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, c := range out {
		if err := pairs.CheckID(c.id()); err != nil {
			problems.Add("%v", err)
		} else if seen[c.id()] {
			problems.Add("caption %q is there twice", c.id())
		}
		if _, _, err := pairs.Normalise(c.text); err != nil {
			problems.Add("caption %.80q: %v", c.id(), err)
		}
		seen[c.id()] = true
	}
	if len(out) == 0 {
		problems.Add("no captions")
	}
	return out, problems.Err()
}

func parseTokens(data []byte, problems *pairs.Problems) []caption {
	var out []caption
	n := 0
	for line := range bytes.Lines(data) {
		n++
		text := strings.TrimRight(string(line), "\r\n")
		if text == "" {
			continue
		}
		key, words, ok := strings.Cut(text, "\t")
		i := strings.LastIndexByte(key, '#')
		if !ok || i < 0 {
			problems.Add("line %d: %.60q is not photo#number, a tab and a caption", n, text)
			continue
		}
		index, err := strconv.Atoi(key[i+1:])
		if err != nil || index < 0 || index > 99 || key[i+1:] != strconv.Itoa(index) {
			problems.Add("line %d: %.60q is not the number of a caption", n, key[i+1:])
			continue
		}
		out = append(out, caption{key[:i], index, strings.TrimSpace(words)})
	}
	return out
}

// parseCSV numbers the captions of a photo in the order of their rows.
func parseCSV(data []byte) ([]caption, error) {
	r := csv.NewReader(bufio.NewReader(bytes.NewReader(data)))
	r.FieldsPerRecord, r.LazyQuotes = 2, true
	if _, err := r.Read(); err != nil {
		return nil, err
	}
	var out []caption
	next := map[string]int{}
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		out = append(out, caption{row[0], next[row[0]], strings.TrimSpace(row[1])})
		next[row[0]]++
	}
}

// split returns the photos of a split that are there and have captions.
func (d *dataset) split(name string) ([]string, error) {
	file, err := first(d.root, []string{splitFiles[name], "Flickr8k_text/" + splitFiles[name]})
	if err != nil {
		return nil, err
	}
	data, err := readText(file)
	if err != nil {
		return nil, err
	}
	captioned := map[string]bool{}
	for _, c := range d.captions {
		captioned[c.photo] = true
	}
	var out []string
	seen := map[string]bool{}
	for line := range bytes.Lines(data) {
		photo := strings.TrimSpace(string(line))
		if d.photos[photo] && captioned[photo] && !seen[photo] {
			out = append(out, photo)
			seen[photo] = true
		}
	}
	return out, nil
}
