package retrieval

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/hearsight/hearsight/internal/pairs"
	"github.com/hearsight/hearsight/internal/table"
)

// maxList bounds a file of captions.
const maxList = 64 << 20

// ReadCaptions reads which caption describes which photo: CSV with a heading
// that has the columns caption and photo, and may have text, voice and group.
func ReadCaptions(path string) ([]Caption, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	out, err := parseCaptions(f)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return out, nil
}

func parseCaptions(in io.Reader) ([]Caption, error) {
	limited := &io.LimitedReader{R: in, N: maxList + 1}
	r := csv.NewReader(limited)
	head, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("no heading: %w", err)
	}
	head[0] = strings.TrimPrefix(head[0], "\ufeff")
	column := func(name string) int { return slices.Index(head, name) }
	caption, photo := column("caption"), column("photo")
	if caption < 0 || photo < 0 {
		return nil, fmt.Errorf("the heading is %.80q: want columns caption and photo, and perhaps text, voice and group", strings.Join(head, ","))
	}
	var out []Caption
	var wrong pairs.Problems
	nth := map[string]int32{}
	for {
		row, err := r.Read()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, err
		}
		if limited.N == 0 {
			return nil, fmt.Errorf("over the limit of %d bytes", maxList)
		}
		get := func(i int) string {
			if i < 0 {
				return ""
			}
			return row[i]
		}
		c := Caption{Caption: table.Caption{ID: row[caption], PhotoID: row[photo], Text: get(column("text")), Group: get(column("group"))}, Voice: get(column("voice"))}
		line, _ := r.FieldPos(0)
		for _, id := range []string{c.ID, c.PhotoID} {
			if err := pairs.CheckID(id); err != nil {
				wrong.Add("line %d: %v", line, err)
			}
		}
		c.Index = nth[c.PhotoID]
		nth[c.PhotoID]++
		out = append(out, c)
	}
	if len(out) == 0 {
		return nil, errors.New("there are no captions in it")
	}
	return out, wrong.Err()
}

// NewSet makes a set of a grid from elsewhere, whose rows are captions unless
// rowsArePhotos.
//
// list says what the captions describe. It is taken by the names in the grid,
// or, where captions have none, row by row; photos without names are those of
// the list in the order in which they first come. Without a list the names in
// the grid must say: a caption is called as its photo is, or so with #0, #1, …
// behind it. A grid without names and a list has so many captions a photo,
// photo by photo.
func NewSet(name string, g *Grid, rowsArePhotos bool, list []Caption) (*Set, error) {
	captionIDs, photoIDs := g.RowIDs, g.ColumnIDs
	m := Matrix{Images: g.Columns, Clips: g.Rows, S: g.S}
	if rowsArePhotos {
		captionIDs, photoIDs = g.ColumnIDs, g.RowIDs
		m.Images, m.Clips = g.Rows, g.Columns
	} else {
		m.S = make([]float64, len(g.S))
		for j := range g.Rows {
			for i := range g.Columns {
				m.S[i*g.Rows+j] = g.S[j*g.Columns+i]
			}
		}
	}
	s := &Set{Name: name, Matrix: m, Photos: photoIDs}
	if err := checkIDs(captionIDs, photoIDs); err != nil {
		return nil, err
	}
	var err error
	switch {
	case list != nil:
		err = s.byList(captionIDs, list)
	case captionIDs != nil && photoIDs != nil:
		err = s.byName(captionIDs)
	default:
		err = s.byPlace(captionIDs)
	}
	return s, err
}

func checkIDs(lists ...[]string) error {
	var wrong pairs.Problems
	for _, ids := range lists {
		for _, id := range ids {
			if err := pairs.CheckID(id); err != nil {
				wrong.Add("%v", err)
			}
		}
	}
	return wrong.Err()
}

func (s *Set) byList(captionIDs []string, list []Caption) error {
	if captionIDs == nil {
		if len(list) != s.Matrix.Clips {
			return fmt.Errorf("the matrix has %d captions and the list %d: are its rows photos?", s.Matrix.Clips, len(list))
		}
		s.Captions = list
	} else {
		known := map[string]Caption{}
		for _, c := range list {
			known[c.ID] = c
		}
		var wrong pairs.Problems
		for _, id := range captionIDs {
			c, ok := known[id]
			if !ok {
				wrong.Add("caption %q of the matrix is not in the list", id)
			}
			s.Captions = append(s.Captions, c)
		}
		if err := wrong.Err(); err != nil {
			return err
		}
	}
	if s.Photos != nil {
		return nil
	}
	seen := map[string]bool{}
	for _, c := range s.Captions {
		if !seen[c.PhotoID] {
			seen[c.PhotoID] = true
			s.Photos = append(s.Photos, c.PhotoID)
		}
	}
	if len(s.Photos) != s.Matrix.Images {
		return fmt.Errorf("the matrix has %d photos and the captions describe %d: name the photos in the matrix", s.Matrix.Images, len(s.Photos))
	}
	return nil
}

func (s *Set) byName(captionIDs []string) error {
	nth := map[string]int32{}
	for _, p := range s.Photos {
		nth[p] = 0
	}
	for _, id := range captionIDs {
		photo := id
		if _, ok := nth[photo]; !ok {
			if i := strings.LastIndexByte(id, '#'); i >= 0 {
				photo = id[:i]
			}
		}
		n, ok := nth[photo]
		if !ok {
			return fmt.Errorf("it is not known which photo caption %q describes: give a list of captions and photos", id)
		}
		nth[photo]++
		s.Captions = append(s.Captions, Caption{Caption: table.Caption{ID: id, PhotoID: photo, Index: n}})
	}
	return nil
}

func (s *Set) byPlace(captionIDs []string) error {
	if s.Matrix.Clips%s.Matrix.Images != 0 {
		return fmt.Errorf("%d captions are not so many for each of %d photos: are the rows photos? Else give a list of captions and photos", s.Matrix.Clips, s.Matrix.Images)
	}
	if s.Photos == nil {
		for i := range s.Matrix.Images {
			s.Photos = append(s.Photos, fmt.Sprintf("photo %d", i+1))
		}
	}
	each := s.Matrix.Clips / s.Matrix.Images
	for j := range s.Matrix.Clips {
		c := table.Caption{PhotoID: s.Photos[j/each], Index: int32(j % each)}
		if c.ID = fmt.Sprintf("%s#%d", c.PhotoID, j%each); captionIDs != nil {
			c.ID = captionIDs[j]
		}
		s.Captions = append(s.Captions, Caption{Caption: c})
	}
	return nil
}
