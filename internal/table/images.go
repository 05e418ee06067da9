package table

import "fmt"

// An Image is a picture ready for a tower: row of images-*.arrow. All images of
// a file have one size and one order of channels. Pixel y, x, channel c is
// Pixels[(y*Width+x)*3+c].
type Image struct {
	ID           string
	SHA256       string // hex, of Pixels
	SourceSHA256 string // hex, of the photo's bytes
	Height       int32
	Width        int32
	Order        string // bgr or rgb
	Pixels       []uint8
}

// Images is the format of Image rows: columns id, sha256, source_sha256 and
// the tensor pixels, uint8[Height,Width,3]; Order is in the file's metadata.
var Images = Format[Image]{
	schema: "hearsight.images/1", ordered: true,
	id: func(r *Image) string { return r.ID },
	engine: tensorEngine[Image, uint8]{
		column: "pixels", dtype: uint8Type,
		split: func(r *Image) (tensorRow[uint8], error) {
			if r.Order != "bgr" && r.Order != "rgb" {
				return tensorRow[uint8]{}, fmt.Errorf("channel order %q is neither bgr nor rgb", r.Order)
			}
			return tensorRow[uint8]{
				id: r.ID, sha256: r.SHA256, source: r.SourceSHA256, data: r.Pixels,
				shape: [3]int{int(r.Height), int(r.Width), 3}, meta: map[string]string{"order": r.Order},
			}, nil
		},
		join: func(t tensorRow[uint8], dst *Image) {
			*dst = Image{
				ID: t.id, SHA256: t.sha256, SourceSHA256: t.source, Pixels: t.data,
				Height: int32(t.shape[0]), Width: int32(t.shape[1]), Order: t.meta["order"],
			}
		},
	},
}
