package tts

import (
	"bytes"
	"context"
	"path/filepath"
	"slices"

	"github.com/hearsight/hearsight/internal/tool"
	"github.com/hearsight/hearsight/stages/stage"
)

const installFFmpeg = "apt-get install ffmpeg (Debian, Ubuntu), dnf install ffmpeg (Fedora), brew install ffmpeg (macOS); or choose format: native"

// An encoder makes M4A or MP3 with ffmpeg.
type encoder struct {
	path, version string
	format        string // m4a or mp3
}

func findEncoder(ctx context.Context, format string) (*encoder, error) {
	found, err := tool.Find(ctx, "ffmpeg", "-version")
	if err != nil {
		return nil, missing(err, "ffmpeg, which encodes "+format+",", installFFmpeg)
	}
	return &encoder{found.Path, found.Version, format}, nil
}

func (e *encoder) tool() stage.Tool { return stage.Tool{Name: "ffmpeg", Version: e.version} }

// encode encodes a sound file. One thread and no metadata: the same sound gives
// the same bytes. dir is the caption's own.
func (e *encoder) encode(ctx context.Context, data []byte, dir string) ([]byte, string, error) {
	out, format := "encoded.m4a", "m4a"
	codec := []string{"-c:a", "aac", "-b:a", "64k", "-f", "ipod"}
	if e.format == "mp3" {
		out, format = "encoded.mp3", "mp3"
		codec = []string{"-c:a", "libmp3lame", "-b:a", "64k", "-f", "mp3"}
	}
	args := slices.Concat([]string{
		"-nostdin", "-hide_banner", "-loglevel", "error", "-threads", "1", "-i", "pipe:0",
		"-map", "0:a:0", "-map_metadata", "-1", "-fflags", "+bitexact", "-flags:a", "+bitexact", "-threads", "1",
	}, codec, []string{"-y", "file:" + out})
	if _, err := tool.Run(ctx, tool.Cmd{
		Path: e.path, Args: args, Dir: dir, Stdin: bytes.NewReader(data), Timeout: speechTimeout,
	}); err != nil {
		return nil, "", err
	}
	data, err := readOutput(filepath.Join(dir, out))
	return data, format, err
}
