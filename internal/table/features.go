package table

// A FeatureMap is what a tower makes of an image: row of features-*.arrow. All
// maps of a file have one shape. Half holds the bits of float16 numbers; row
// y, column x, channel c is Half[(y*Width+x)*Channels+c].
type FeatureMap struct {
	ID           string
	SHA256       string // hex, of Half as little-endian 16-bit words
	SourceSHA256 string // hex, of the image's pixels
	Height       int32
	Width        int32
	Channels     int32
	Half         []uint16
}

// FeatureMaps returns the format of FeatureMap rows: columns id, sha256,
// source_sha256 and the tensor features, float16[Height,Width,Channels]. The
// tower (vgg16) and the layer (conv5_3) that made them are written to the
// file's metadata; reading does not look at them, so readers may leave both
// empty.
func FeatureMaps(tower, layer string) Format[FeatureMap] {
	return Format[FeatureMap]{
		schema: "hearsight.features/1", ordered: true,
		id: func(r *FeatureMap) string { return r.ID },
		engine: tensorEngine[FeatureMap, uint16]{
			column: "features", dtype: float16Type,
			split: func(r *FeatureMap) (tensorRow[uint16], error) {
				return tensorRow[uint16]{
					id: r.ID, sha256: r.SHA256, source: r.SourceSHA256, data: r.Half,
					shape: [3]int{int(r.Height), int(r.Width), int(r.Channels)},
					meta:  map[string]string{"tower": tower, "layer": layer},
				}, nil
			},
			join: func(t tensorRow[uint16], dst *FeatureMap) {
				*dst = FeatureMap{
					ID: t.id, SHA256: t.sha256, SourceSHA256: t.source, Half: t.data,
					Height: int32(t.shape[0]), Width: int32(t.shape[1]), Channels: int32(t.shape[2]),
				}
			},
		},
	}
}
