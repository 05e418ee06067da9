package main

import (
	"bytes"
	"encoding/json"
	"image"
	"image/jpeg"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPhotoRows(t *testing.T) {
	mine, theirs := map[string][]photoTime{}, map[string][]photoTime{}
	ours := `{"name":"box","photos":100,"cpu_s":0.5,"sha256":"ab"}
{"name":"whole","photos":100,"cpu_s":2,"decoder":1.5}
`
	peers := `{"name":"box","photos":100,"cpu_s":1,"sha256":"ab","version":"P"}
{"name":"image_pillow","images":100,"cpu_s":1,"value":3,"version":"P"}
`
	for range 2 {
		if err := readPhotoTimes([]byte(ours), mine); err != nil {
			t.Fatal(err)
		}
		if err := readPhotoTimes([]byte(peers), theirs); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := photoRows(mine, theirs)
	if err != nil || len(rows) != 2 {
		t.Fatalf("%+v, %v", rows, err)
	}
	if r := rows[0]; r.name != "resize_box" || r.ratio != 2 || r.ours != 200 || r.verdict() != "ok" {
		t.Errorf("%+v", r)
	}
	if r := rows[1]; r.name != "photos_jpeg" || r.ratio != .5 || r.verdict() != "ok" || !strings.Contains(r.note, "takes 75 %") {
		t.Errorf("%+v", r)
	}
	theirs["box"][0].SHA256 = "cd"
	if _, err := photoRows(mine, theirs); err == nil || !strings.Contains(err.Error(), "not the same work") {
		t.Errorf("with other bytes: %v", err)
	}
	if _, err := photoRows(mine, nil); err == nil {
		t.Error("rows of nothing")
	}
	if readPhotoTimes([]byte("no JSON"), mine) == nil {
		t.Error("what is no JSON is read")
	}
}

func TestOnePhotos(t *testing.T) {
	dir := t.TempDir()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewGray(image.Rect(0, 0, 20, 10)), nil); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"a.jpg": b.Bytes(), "a.rgb": make([]byte, 3*5*4), "sizes.txt": []byte("a.rgb 5 4\n")} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	o := options{reps: 1, photos: photoOptions{photos: dir, pixels: dir}}
	var out bytes.Buffer
	if err := onePhotos(&out, o); err != nil {
		t.Fatal(err)
	}
	var last photoTime
	lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
	if err := json.Unmarshal(lines[len(lines)-1], &last); err != nil || len(lines) != 5 || last.Name != whole || last.Photos != 1 {
		t.Errorf("%d lines, the last %+v, %v", len(lines), last, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "sizes.txt"), []byte("a.rgb 5 5\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := onePhotos(&out, o); err == nil {
		t.Error("pixels of another size are taken")
	}
}
