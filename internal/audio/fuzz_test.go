package audio

import "testing"

// Containers that FuzzDecode would rarely find by itself: what marks them is
// put into every input.

func FuzzAIFF(f *testing.F) {
	f.Add([]byte("FORM\x00\x00\x00\x00AIFF"))
	f.Add(testAIFF("sowt", 16, 2, []byte{0, 0xc0, 0, 0x20}))
	f.Add(testAIFF("NONE", 24, 1, []byte{1, 2, 3}))
	f.Add(testAIFF("ulaw", 8, 3, []byte{1, 2, 3}))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 12 {
			copy(data, "FORM")
			copy(data[8:], "AIF")
			if data[11] != 'F' {
				data[11] = 'C'
			}
		}
		fuzzOne(t, data)
	})
}

func FuzzADTS(f *testing.F) {
	f.Add([]byte("\xff\xf1\x5c\x40\x01\x3f\xfc\x00\x00\x00"))
	f.Add(testADTS(f, 3000))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 2 {
			data[0], data[1] = 0xff, data[1]&1|0xf0 // MPEG-4 or 2 stays, the layer is 0
		}
		fuzzOne(t, data)
	})
}

// testADTS is a tone of 44,100 Hz in ADTS frames, without checksums.
func testADTS(t testing.TB, samples int) []byte {
	t.Helper()
	tr, _, err := parseMP4(testM4A(t, samples, false))
	if err != nil {
		t.Fatal(err)
	}
	var out []byte
	for _, u := range tr.units {
		n := len(u) + 7
		out = append(out, 0xff, 0xf1, 1<<6|4<<2, byte(1<<6|n>>11), byte(n>>3), byte(n<<5|0x1f), 0xfc)
		out = append(out, u...)
	}
	return out
}

func TestADTS(t *testing.T) {
	data := testADTS(t, 3000)
	_, info := mustDecode(t, "a.aac", data)
	if info.Format != formatADTS || info.Codec != "aac-lc" || info.Damaged || info.SampleRateHz != 44100 || info.Channels != 1 {
		t.Errorf("%+v", info)
	}
	if _, cut, err := Decode("a.aac", data[:len(data)-5]); err != nil || !cut.Damaged || cut.Frames >= info.Frames {
		t.Errorf("cut: %+v, %v", cut, err)
	}
}
