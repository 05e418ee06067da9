package audio

import (
	"errors"
	"fmt"
	"math"
)

// aacFrame is the samples per channel of an AAC access unit.
const aacFrame = 1024

// An mp4Track is the sound track of an MP4 file: its access units and how much
// of them is to be heard.
type mp4Track struct {
	id        int64
	timescale int64  // ticks a second of media times
	duration  uint64 // ticks, as mdhd says; 0 is unknown
	asc       []byte // AudioSpecificConfig
	config    aacConfig
	codec     string
	outside   error    // why it is not decoded here; nil: it is
	units     [][]byte // access units in the file's data
	have      int      // access units that were found
	missing   int      // access units that lie beyond the end of the file
	ticks     uint64   // sum of the access units' durations
	edit      mp4Edit
	bytes     int64 // so far in units
}

// An mp4Edit says which part of the media is to be heard.
type mp4Edit struct {
	known  bool
	start  int64  // ticks of the track; samples if smpb
	length uint64 // ticks of the movie; samples if smpb; 0 is up to the end
	movie  int64  // movie ticks a second
	smpb   bool   // from iTunSMPB, in samples
}

// parseMP4 finds the sound track and collects its access units, from the sample
// tables of moov and from the fragments (moof) that may follow.
func parseMP4(data []byte) (*mp4Track, Info, error) {
	info := Info{Format: formatMP4}
	tr, moov, moofs, err := mp4Top(data, &info)
	if err != nil {
		return nil, info, err
	}
	info.Codec = tr.codec
	info.SampleRateHz, info.Channels = tr.config.rateHz, tr.config.channels
	if tr.have+tr.missing > 0 && len(moofs) > 0 && !tr.edit.smpb {
		tr.edit.length = 0 // that of what moov holds; fragments add to it
	}
	for _, moof := range moofs {
		if err := tr.takeMoof(data, moof, child(moov, "mvex")); err != nil {
			return nil, info, err
		}
	}
	if tr.have == 0 {
		if tr.missing > 0 {
			return nil, info, fmt.Errorf("mp4: all %d access units lie beyond the end of the file", tr.missing)
		}
		return nil, info, errors.New("mp4: no sound in the file")
	}
	if tr.outside != nil {
		tr.noteOutside(&info)
		return nil, info, tr.outside
	}
	start, frames := tr.trim(&info)
	if frames <= 0 {
		return nil, info, fmt.Errorf("mp4: the edit list leaves nothing of %d access units", len(tr.units))
	}
	tr.edit = mp4Edit{known: true, smpb: true, start: start, length: uint64(frames)}
	info.setFrames(frames)
	if frames > MaxSeconds*int64(info.SampleRateHz) || int64(len(tr.units))*aacFrame > (MaxSeconds+60)*int64(info.SampleRateHz) {
		return nil, info, tooLong(int64(len(tr.units))*aacFrame, info.SampleRateHz)
	}
	return tr, info, nil
}

// mp4Top reads the boxes of the top level and the sound track's description.
func mp4Top(data []byte, info *Info) (tr *mp4Track, moov []byte, moofs []box, err error) {
	for at := 0; at < len(data); {
		bx, next, err := nextBox(data, at)
		if err != nil {
			if bx.kind != "mdat" && moov == nil {
				return nil, nil, nil, err
			}
			// A cut-off mdat shows in the access units; other things than boxes
			// after the sound do not.
			info.lose(0, "%d bytes at the end: %v", len(data)-at, err)
			break
		}
		switch {
		case bx.kind == "moov" && moov == nil:
			moov = bx.body
		case bx.kind == "moov":
			info.warn("a second moov box is ignored")
		case bx.kind == "moof":
			moofs = append(moofs, bx)
		}
		at = next
	}
	if moov == nil {
		return nil, nil, nil, errors.New("mp4: no moov box: the file is cut off or was never finished")
	}
	all, err := boxes(moov)
	if err != nil {
		return nil, nil, nil, err
	}
	other := ""
	for _, bx := range all {
		if bx.kind != "trak" {
			continue
		}
		hdlr := child(bx.body, "mdia", "hdlr")
		if len(hdlr) < 12 || string(hdlr[8:12]) != "soun" {
			other = "no sound track among them"
			continue
		}
		tr, err = newMP4Track(data, moov, bx.body, info)
		return tr, moov, moofs, err
	}
	if other == "" {
		other = "none"
	}
	return nil, nil, nil, fmt.Errorf("mp4: tracks: %s", other)
}

// newMP4Track reads one trak box.
func newMP4Track(data, moov, trak []byte, info *Info) (*mp4Track, error) {
	tr := &mp4Track{}
	tkhd := fields{b: child(trak, "tkhd")}
	version := tkhd.u8()
	tkhd.skip(3 + map[bool]int{true: 16, false: 8}[version == 1])
	tr.id = tkhd.u32()
	mdhd := fields{b: child(trak, "mdia", "mdhd")}
	version = mdhd.u8()
	mdhd.skip(3 + map[bool]int{true: 16, false: 8}[version == 1])
	tr.timescale = mdhd.u32()
	tr.duration = mdhd.sized(version)
	if tkhd.short || mdhd.short || tr.timescale == 0 {
		return nil, errors.New("mp4: bad track header")
	}
	if version == 0 && tr.duration == math.MaxUint32 || tr.duration == math.MaxUint64 {
		tr.duration = 0
	}
	stbl := child(trak, "mdia", "minf", "stbl")
	if stbl == nil {
		return nil, errors.New("mp4: no sample table")
	}
	if err := tr.takeStsd(child(stbl, "stsd")); err != nil {
		return nil, err
	}
	tr.takeEdits(moov, trak, info)
	return tr, tr.takeTables(data, stbl)
}

// noteOutside notes how long a track is that is not decoded here, as its edit
// list has it, and what is missing of it.
func (tr *mp4Track) noteOutside(info *Info) {
	whole := float64(tr.ticks) / float64(tr.timescale)
	info.DurationSec = whole
	if e := tr.edit; e.known && !e.smpb {
		info.DurationSec = max(0, whole-float64(e.start)/float64(tr.timescale))
		if e.movie > 0 && e.length > 0 {
			info.DurationSec = min(info.DurationSec, float64(e.length)/float64(e.movie))
		}
	}
	if tr.missing > 0 {
		all := tr.missing + tr.have
		lost := whole * float64(tr.missing) / float64(all)
		info.lose(lost, "%d of %d access units lie beyond the end of the file (%.2f s)", tr.missing, all, lost)
	}
}

// parseESDS finds the AudioSpecificConfig in the descriptors of an esds box
// (ISO/IEC 14496-1): tag:1 length:7 bits a byte, then
//
//	3 ES: id:2 flags:1 ... { 4 config: object type:1 ... 12 { 5: the ASC } }
func parseESDS(b []byte) (object int, asc []byte, err error) {
	f := fields{b: b}
	open := func(tag int) {
		if f.u8() != tag {
			f.short = true
		}
		n := 0
		for range 4 {
			c := f.u8()
			n = n<<7 | c&0x7f
			if c < 0x80 {
				break
			}
		}
		if n > len(f.b) {
			f.short = true
			return
		}
		f.b = f.b[:n]
	}
	open(3)
	f.skip(2)
	flags := f.u8()
	if flags&0x80 != 0 {
		f.skip(2)
	}
	if flags&0x40 != 0 {
		f.skip(f.u8())
	}
	if flags&0x20 != 0 {
		f.skip(2)
	}
	open(4)
	object = f.u8()
	f.skip(12)
	if !f.short && object != 0x40 && (object < 0x66 || object > 0x68) {
		return object, nil, nil
	}
	open(5)
	if f.short || len(f.b) < 2 {
		return object, nil, errors.New("mp4: bad esds box")
	}
	return object, f.b, nil
}

// takeEdits reads the edit list, or else the iTunSMPB comment, which older Apple
// encoders write in its place.
func (tr *mp4Track) takeEdits(moov, trak []byte, info *Info) {
	mvhd := fields{b: child(moov, "mvhd")}
	version := mvhd.u8()
	mvhd.skip(3 + map[bool]int{true: 16, false: 8}[version == 1])
	movie := mvhd.u32()
	elst := fields{b: child(trak, "edts", "elst")}
	version = elst.u8()
	elst.skip(3)
	n := elst.u32()
	for range min(n, int64(len(elst.b)/12)) {
		length := elst.sized(version)
		start := int64(elst.sized(version))
		if version == 0 {
			start = int64(int32(start))
		}
		elst.skip(4)
		switch {
		case elst.short:
			return
		case start < 0:
			info.warn("the edit list begins with an empty edit, which is left out")
		case tr.edit.known:
			info.warn("the edit list has several parts: only its first start counts")
			tr.edit.length = 0
			return
		default:
			tr.edit = mp4Edit{known: true, start: start, length: length, movie: movie}
		}
	}
	if !tr.edit.known {
		tr.edit = smpb(child(moov, "udta", "meta"))
	}
}

// smpb reads iTunSMPB from a meta box.
func smpb(meta []byte) mp4Edit {
	if len(meta) < 4 {
		return mp4Edit{}
	}
	items, _ := boxes(child(meta[4:], "ilst"))
	for _, it := range items {
		name, value := child(it.body, "name"), child(it.body, "data")
		if it.kind == "----" && len(name) >= 4 && string(name[4:]) == "iTunSMPB" && len(value) >= 8 {
			return parseSMPB(value[8:])
		}
	}
	return mp4Edit{}
}

// parseSMPB reads the text of iTunSMPB: hexadecimal words, the second being the
// encoder's delay, the fourth the number of samples.
func parseSMPB(text []byte) mp4Edit {
	var zero, delay, padding, samples uint64
	if _, err := fmt.Sscanf(string(text), "%x %x %x %x", &zero, &delay, &padding, &samples); err == nil && delay < 1<<20 && samples < 1<<40 {
		return mp4Edit{known: true, smpb: true, start: int64(delay), length: samples}
	}
	return mp4Edit{}
}

// addUnit adds the access unit at data[at:at+size]. Those beyond the end are
// counted; units that overlap so much that they hold more bytes than the file
// are refused, for they can only come from a forged table.
func (tr *mp4Track) addUnit(data []byte, at uint64, size int64) error {
	if size == 0 || size > math.MaxUint16 && tr.outside == nil {
		return fmt.Errorf("mp4: access unit of %d bytes", size)
	}
	if at > uint64(len(data)) || uint64(size) > uint64(len(data))-at {
		tr.missing++
		return nil
	}
	if tr.bytes += size; tr.bytes > int64(len(data)) {
		return errors.New("mp4: the access units overlap")
	}
	if tr.have++; tr.outside == nil {
		tr.units = append(tr.units, data[at:at+uint64(size)])
	}
	return nil
}

// trim says which samples are to be heard: from start on, frames of them. It
// notes what is missing.
func (tr *mp4Track) trim(info *Info) (start, frames int64) {
	rate := float64(tr.config.rateHz)
	scale := rate / float64(tr.timescale)
	toSamples := func(ticks uint64, scale float64) int64 { return int64(min(math.Round(float64(ticks)*scale), 1<<40)) }
	have := int64(len(tr.units)) * aacFrame
	total := have
	if tr.missing > 0 {
		lost := float64(tr.missing*aacFrame) / rate
		info.lose(lost, "%d of %d access units lie beyond the end of the file (%.2f s)", tr.missing, tr.missing+len(tr.units), lost)
	} else if said := toSamples(tr.ticks, scale); said > have-aacFrame && said < have {
		total = said // the last unit is not full
	} else if d := said - have; d > aacFrame || -d > aacFrame {
		info.lose(float64(d)/rate, "the sample table's durations make %.2f s, its %d access units %.2f s", float64(said)/rate, len(tr.units), float64(have)/rate)
	}
	if said := toSamples(tr.duration, scale); tr.missing == 0 && said > have+aacFrame {
		info.lose(float64(said-have)/rate, "the header says %.2f s, there are %.2f s", float64(said)/rate, float64(have)/rate)
	}
	e := tr.edit
	length := int64(0)
	switch {
	case e.smpb:
		start, length = e.start, int64(e.length)
	case e.known:
		start = toSamples(uint64(e.start), scale)
		if e.movie > 0 {
			length = toSamples(e.length, rate/float64(e.movie))
			// Movie ticks are coarse (1 ms): where the media ends within two of
			// them from there, its own end is meant.
			if d := start + length - total; math.Abs(float64(d)) <= 2*rate/float64(e.movie)+1 {
				length = 0
			}
		}
	}
	if length == 0 || start+length > total {
		if lost := start + length - total; length > 0 && lost > aacFrame && tr.missing == 0 {
			info.lose(float64(lost)/rate, "the edit list asks for %.2f s more than there are", float64(lost)/rate)
		}
		length = total - start
	}
	return start, length
}
