package audio

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
)

// takeTables collects the access units that the sample tables describe:
//
//	stsz: flags:4 size:4 count:4 [size:4]...       sizes of the units
//	stco: flags:4 count:4 [offset:4]...            where chunks of them begin
//	stsc: flags:4 count:4 [first chunk:4 units a chunk:4 description:4]...
//	stts: flags:4 count:4 [units:4 duration:4]...  their durations
//
// A fragmented file has them empty. Every count is checked against the bytes
// that the box really has, so nothing is allocated on a header's word.
func (tr *mp4Track) takeTables(data, stbl []byte) error {
	sizes, err := newStsz(child(stbl, "stsz"), len(data))
	if err != nil || sizes.count == 0 {
		return err
	}
	offsets, wide, err := chunkOffsets(stbl)
	if err != nil {
		return err
	}
	f := fields{b: child(stbl, "stsc")}
	f.skip(4)
	n := f.u32()
	runs, err := f.table("stsc", n, 12)
	if err != nil {
		return err
	}
	if n == 0 {
		return errors.New("mp4: no stsc entries")
	}
	unit, run := int64(0), 0
	for chunk := 0; chunk < len(offsets)/wide && unit < sizes.count; chunk++ {
		for run+1 < int(n) && be32(runs, run+1, 12, 0) <= int64(chunk)+1 {
			run++
		}
		at := chunkOffset(offsets, wide, chunk)
		for range min(be32(runs, run, 12, 1), sizes.count-unit) {
			size := sizes.at(unit)
			if err := tr.addUnit(data, at, size); err != nil {
				return err
			}
			at += uint64(size)
			unit++
		}
	}
	if unit < sizes.count {
		return fmt.Errorf("mp4: the chunks hold %d of %d access units", unit, sizes.count)
	}
	return tr.takeStts(child(stbl, "stts"))
}

// chunkOffsets returns the table of chunk offsets and the width of its entries.
func chunkOffsets(stbl []byte) ([]byte, int, error) {
	kind, width := "stco", 4
	b := child(stbl, kind)
	if b == nil {
		kind, width = "co64", 8
		b = child(stbl, kind)
	}
	f := fields{b: b}
	f.skip(4)
	table, err := f.table(kind, f.u32(), width)
	return table, width, err
}

func chunkOffset(table []byte, width, i int) uint64 {
	if width == 8 {
		return binary.BigEndian.Uint64(table[8*i:])
	}
	return uint64(binary.BigEndian.Uint32(table[4*i:]))
}

// stsz is the table of unit sizes; without entries all have the same.
type stsz struct {
	fixed, count int64
	table        []byte
}

func newStsz(b []byte, fileSize int) (stsz, error) {
	f := fields{b: b}
	f.skip(4)
	s := stsz{fixed: f.u32()}
	s.count = f.u32()
	if f.short {
		return s, errors.New("mp4: no stsz box")
	}
	if s.fixed > 0 {
		if s.count > int64(fileSize) || s.fixed*s.count > int64(fileSize) {
			return s, fmt.Errorf("mp4: stsz counts %d units of %d bytes in a file of %d", s.count, s.fixed, fileSize)
		}
		return s, nil
	}
	var err error
	s.table, err = f.table("stsz", s.count, 4)
	return s, err
}

func (s stsz) at(i int64) int64 {
	if s.fixed > 0 {
		return s.fixed
	}
	return be32(s.table, int(i), 4, 0)
}

// takeStts sums the durations.
func (tr *mp4Track) takeStts(b []byte) error {
	f := fields{b: b}
	f.skip(4)
	n := f.u32()
	table, err := f.table("stts", n, 8)
	if err != nil {
		return err
	}
	for i := range int(n) {
		tr.ticks += uint64(be32(table, i, 8, 0)) * uint64(be32(table, i, 8, 1))
	}
	return nil
}

// Flags of tfhd and trun.
const (
	tfhdBase, tfhdDescription, tfhdDuration, tfhdSize, tfhdFlags = 1, 2, 8, 16, 32

	trunOffset, trunFirstFlags, trunDuration, trunSize, trunFlags, trunTime = 1, 4, 0x100, 0x200, 0x400, 0x800
)

// takeMoof collects the access units of a fragment:
//
//	tfhd: flags:4 track:4 [base:8] [description:4] [duration:4] [size:4] [flags:4]
//	trun: flags:4 count:4 [offset:4] [flags:4] { [duration] [size] [flags] [time] }...
//
// Offsets count from the moof box unless a base is given.
func (tr *mp4Track) takeMoof(data []byte, moof box, mvex []byte) error {
	trafs, err := boxes(moof.body)
	if err != nil {
		return err
	}
	for _, traf := range trafs {
		if traf.kind != "traf" {
			continue
		}
		f := fields{b: child(traf.body, "tfhd")}
		flags := f.u32()
		if f.u32() != tr.id || f.short {
			continue
		}
		base := uint64(moof.at)
		duration, size := tr.trexDefaults(mvex)
		if flags&tfhdBase != 0 {
			base = f.u64()
		}
		if flags&tfhdDescription != 0 {
			f.skip(4)
		}
		if flags&tfhdDuration != 0 {
			duration = f.u32()
		}
		if flags&tfhdSize != 0 {
			size = f.u32()
		}
		runs, err := boxes(traf.body)
		if err != nil {
			return err
		}
		next := base
		for _, bx := range runs {
			if bx.kind != "trun" {
				continue
			}
			if next, err = tr.takeTrun(data, bx.body, base, next, duration, size); err != nil {
				return err
			}
		}
	}
	return nil
}

// trexDefaults returns the defaults of moov's mvex for units of fragments.
func (tr *mp4Track) trexDefaults(mvex []byte) (duration, size int64) {
	all, _ := boxes(mvex)
	for _, bx := range all {
		f := fields{b: bx.body}
		f.skip(4)
		if bx.kind == "trex" && f.u32() == tr.id {
			f.skip(4)
			return f.u32(), f.u32()
		}
	}
	return 0, 0
}

// takeTrun collects one run of units and returns where the data after it is.
func (tr *mp4Track) takeTrun(data, body []byte, base, next uint64, duration, size int64) (uint64, error) {
	f := fields{b: body}
	flags := f.u32()
	count := f.u32()
	if flags&trunOffset != 0 {
		next = base + uint64(int64(int32(f.u32())))
	}
	if flags&trunFirstFlags != 0 {
		f.skip(4)
	}
	width := 0
	for _, bit := range []int64{trunDuration, trunSize, trunFlags, trunTime} {
		if flags&bit != 0 {
			width += 4
		}
	}
	if width == 0 && count*max(1, size) > int64(len(data)) {
		return 0, fmt.Errorf("mp4: trun counts %d units in a file of %d bytes", count, len(data))
	}
	rows, err := f.table("trun", count, width)
	if err != nil {
		return 0, err
	}
	for i := range int(count) {
		row := fields{b: rows[i*width : (i+1)*width]}
		d, n := duration, size
		if flags&trunDuration != 0 {
			d = row.u32()
		}
		if flags&trunSize != 0 {
			n = row.u32()
		}
		if err := tr.addUnit(data, next, n); err != nil {
			return 0, err
		}
		tr.ticks += uint64(d)
		next += uint64(n)
	}
	return next, nil
}

// be32 reads column col of a row of a table whose length was checked.
func be32(b []byte, row, width, col int) int64 {
	return int64(binary.BigEndian.Uint32(b[row*width+4*col:]))
}

// takeStsd reads the sample description. Of its fields only the format counts:
// channels and rate are the AudioSpecificConfig's.
func (tr *mp4Track) takeStsd(stsd []byte) error {
	if len(stsd) < 8 {
		return errors.New("mp4: no sample description")
	}
	entry, _, err := nextBox(stsd[8:], 0)
	if err != nil {
		return err
	}
	if entry.kind != "mp4a" {
		name := mp4Codec(entry.kind)
		tr.codec = strings.ToLower(name)
		tr.outside = fmt.Errorf("%s in MP4: %w", name, ErrUnsupported)
		return nil
	}
	f := fields{b: entry.body}
	f.skip(8)
	version := f.u16()
	f.skip(18)
	switch version { // QuickTime's longer entries
	case 1:
		f.skip(16)
	case 2:
		f.skip(36)
	}
	esds := child(f.b, "esds")
	if esds == nil {
		esds = child(f.b, "wave", "esds")
	}
	if f.short || len(esds) < 4 {
		return errors.New("mp4: no esds box")
	}
	object, asc, err := parseESDS(esds[4:])
	if err != nil {
		return err
	}
	if object != 0x40 && (object < 0x66 || object > 0x68) {
		tr.codec = fmt.Sprintf("mpeg-4 object type %#x", object)
		tr.outside = fmt.Errorf("%s in MP4: %w", tr.codec, ErrUnsupported)
		return nil
	}
	tr.asc = asc
	if tr.config, err = parseASC(asc); err != nil {
		return err
	}
	tr.codec, tr.outside = tr.config.codec(), tr.config.supported()
	return nil
}

func mp4Codec(kind string) string {
	names := map[string]string{"alac": "ALAC", "enca": "encrypted sound", "samr": "AMR", "sawb": "AMR-WB", "ac-3": "AC-3", "ec-3": "E-AC-3",
		"Opus": "Opus", "fLaC": "FLAC", ".mp3": "MP3", "sowt": "PCM", "twos": "PCM", "lpcm": "PCM"}
	if name, ok := names[kind]; ok {
		return name
	}
	return fmt.Sprintf("%q sound", kind)
}
