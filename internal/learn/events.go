package learn

import (
	"encoding/binary"
	"hash/crc32"
	"io"
	"math"
	"time"
)

// An EventWriter writes TensorBoard's event files (name them
// events.out.tfevents.<seconds>.<host>). Each record is
//
//	8 bytes  length n
//	4 bytes  masked CRC-32C of those
//	n bytes  Event, a protocol buffer
//	4 bytes  masked CRC-32C of the Event
//
// tensorflow/core/lib/io/record_writer.h, core/util/event.proto.
type EventWriter struct {
	w     io.Writer
	clock func() time.Time
	begun bool
}

// NewEventWriter returns a writer of events that happen when clock says.
func NewEventWriter(w io.Writer, clock func() time.Time) *EventWriter {
	return &EventWriter{w: w, clock: clock}
}

// A Scalar is a named value of one step.
type Scalar struct {
	Tag   string
	Value float64
}

// Scalars writes the values of a step, NaN left out.
func (e *EventWriter) Scalars(step int64, values ...Scalar) error {
	if !e.begun {
		e.begun = true
		if err := e.event(0, field(3, []byte("brain.Event:2"))); err != nil { // file_version
			return err
		}
	}
	var summary []byte
	for _, v := range values {
		if math.IsNaN(v.Value) {
			continue
		}
		value := field(1, []byte(v.Tag))                                                                    // tag
		value = binary.LittleEndian.AppendUint32(append(value, 2<<3|5), math.Float32bits(float32(v.Value))) // simple_value
		summary = append(summary, field(1, value)...)                                                       // value
	}
	if len(summary) == 0 {
		return nil
	}
	return e.event(step, field(5, summary)) // summary
}

// event writes an Event: wall_time (1), step (2) and what happened.
func (e *EventWriter) event(step int64, what []byte) error {
	now := float64(e.clock().UnixNano()) / 1e9
	b := binary.LittleEndian.AppendUint64([]byte{1<<3 | 1}, math.Float64bits(now))
	b = binary.AppendUvarint(append(b, 2<<3), uint64(step))
	b = append(b, what...)
	rec := binary.LittleEndian.AppendUint64(nil, uint64(len(b)))
	rec = binary.LittleEndian.AppendUint32(rec, maskedCRC(rec))
	rec = append(rec, b...)
	rec = binary.LittleEndian.AppendUint32(rec, maskedCRC(b))
	_, err := e.w.Write(rec)
	return err
}

// field is a length-delimited field of a protocol buffer.
func field(number byte, data []byte) []byte {
	return append(binary.AppendUvarint([]byte{number<<3 | 2}, uint64(len(data))), data...)
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// maskedCRC keeps a CRC of data that holds CRCs from being 0 too often.
func maskedCRC(b []byte) uint32 {
	c := crc32.Checksum(b, castagnoli)
	return (c>>15 | c<<17) + 0xa282ead8
}
