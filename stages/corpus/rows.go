package corpus

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"maps"
	"math"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hearsight/hearsight/internal/pairs"
)

// A row is one row of the table.
type row struct {
	n                                         int // line of a CSV, or row of a Parquet; both count from 1
	id, photoID, image, audio, caption, split string
	fault                                     string // what is wrong with the row as such
}

// reject sets rows aside for which why returns a reason.
func (j *job) reject(why func(r row) string) {
	j.rows = slices.DeleteFunc(j.rows, func(r row) bool {
		reason := why(r)
		if reason != "" {
			item := r.id
			if pairs.CheckID(item) != nil {
				item = j.place(r)
			}
			j.t.Out.Reject(item, j.place(r)+": "+reason)
		}
		return reason != ""
	})
}

// place says where a row stands in the table.
func (j *job) place(r row) string { return fmt.Sprintf("%s %d", j.unit, r.n) }

// name gives ids to photos and rows that have none.
func (j *job) name() {
	seen := map[string]int{}
	for i := range j.rows {
		r := &j.rows[i]
		r.image, r.audio = strings.ReplaceAll(r.image, `\`, "/"), strings.ReplaceAll(r.audio, `\`, "/")
		if r.photoID == "" {
			r.photoID = flat(r.image)
		}
		if r.id != "" {
			continue
		}
		switch base := r.photoID; {
		case base != "":
			r.id = fmt.Sprintf("%s#%d", base, seen[base])
			seen[base]++
		case r.audio != "":
			r.id = flat(r.audio)
			if n := seen[r.id]; n > 0 {
				r.id = fmt.Sprintf("%s#%d", r.id, n)
			}
			seen[flat(r.audio)]++
		default:
			r.id = fmt.Sprintf("row#%d", seen["row"])
			seen["row"]++
		}
	}
}

// flat makes a name of a path.
func flat(name string) string {
	if name == "" {
		return ""
	}
	return strings.ReplaceAll(path.Clean(name), "/", "_")
}

// holdOut moves a share of the photos, or else of the rows, to the split
// validation: those whose names have the smallest hashes, so that a photo that
// is added moves one other at most. A photo keeps all its captions together.
// None left to train on is an error.
func (j *job) holdOut(found map[string]bool) error {
	if found["split_column"] {
		return nil
	}
	group := func(r row) string { return cmp.Or(r.photoID, r.id) }
	sums := map[string][sha256.Size]byte{}
	for _, r := range j.rows {
		sums[group(r)] = sha256.Sum256([]byte("validation " + group(r)))
	}
	order := slices.SortedFunc(maps.Keys(sums), func(a, b string) int {
		x, y := sums[a], sums[b]
		return bytes.Compare(x[:], y[:])
	})
	n := int(math.Round(j.p.Validation * float64(len(order))))
	if j.p.Validation > 0 && len(order) > 1 {
		n = min(max(n, 1), len(order)-1)
	}
	if n > 0 && n == len(order) {
		return fmt.Errorf("validation %g of a single photo leaves none to train on: give the table more photos, or leave validation out", j.p.Validation)
	}
	held := map[string]bool{}
	for _, id := range order[:n] {
		held[id] = true
	}
	for i := range j.rows {
		if held[group(j.rows[i])] {
			j.rows[i].split = "validation"
		}
	}
	return nil
}

// splits are the words that are taken for a split.
var splits = map[string]string{
	"train": "train", "validation": "validation", "val": "validation", "dev": "validation", "test": "test", "hard": "hard",
}

// check sets aside rows that are wrong by themselves or beside others.
func (j *job) check(found map[string]bool) {
	ids, images := map[string]int{}, map[string]string{}
	j.reject(func(r row) string {
		if reason := j.checkRow(r, found); reason != "" {
			return reason
		}
		if first := ids[r.id]; first != 0 {
			return fmt.Sprintf("its id %q is that of %s %d", r.id, j.unit, first)
		}
		if image, ok := images[r.photoID]; ok && image != r.image {
			return fmt.Sprintf("photo %q is %.80q, and before was %.80q", r.photoID, r.image, image)
		}
		ids[r.id], images[r.photoID] = r.n, r.image
		return ""
	})
}

func (j *job) checkRow(r row, found map[string]bool) string {
	if r.fault != "" {
		return r.fault
	}
	// Paths come before ids, which are made of them.
	for _, file := range []struct{ column, path string }{{"image", r.image}, {"audio", r.audio}} {
		if !found[file.column] {
			continue
		}
		if file.path == "" {
			return file.column + " is empty"
		}
		if !filepath.IsLocal(filepath.FromSlash(file.path)) || drive(file.path) {
			return fmt.Sprintf("%s %.80q is not a path below the root: write it as it is seen from there", file.column, file.path)
		}
	}
	if err := pairs.CheckID(r.id); err != nil {
		return err.Error()
	}
	if found["image"] {
		if err := pairs.CheckID(r.photoID); err != nil {
			return "photo: " + err.Error()
		}
	}
	if found["caption"] && (r.caption != "" || !found["audio"]) {
		if _, _, err := pairs.Normalise(r.caption); err != nil {
			return err.Error()
		}
	}
	if splits[r.split] == "" {
		return fmt.Sprintf("split %.40q is none of train, validation, test, hard", r.split)
	}
	return ""
}

// drive reports a path such as C:/photos, which is none here and absolute where
// it was written.
func drive(p string) bool {
	return len(p) > 1 && p[1] == ':' && ('a' <= p[0]|0x20 && p[0]|0x20 <= 'z')
}

// of names the file that is at fault, if one is.
func of(what, path, fault string) string {
	if fault == "" {
		return ""
	}
	return fmt.Sprintf("%s %.200q: %s", what, path, fault)
}
