package decode

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	"github.com/hearsight/hearsight/internal/tool"
	"github.com/hearsight/hearsight/stages/stage"
)

const (
	// ffmpegMaxBytes of 16-bit samples are 50 minutes at 22,050 Hz.
	ffmpegMaxBytes = 128 << 20
	ffmpegTimeout  = 2 * time.Minute
	// ffmpegFormats are the containers that ffmpeg may take a file for. Among
	// its others are playlists, which name files to read.
	ffmpegFormats = "mov,flac,ogg,matroska,mp3,aac,wav,aiff,caf,amr,au,asf,wv,w64"
)

// address is what differs in ffmpeg's messages from call to call.
var address = regexp.MustCompile(` ?@ 0x[0-9a-f]+`)

// ffmpeg decodes what internal/audio does not.
type ffmpeg struct{ path, version string }

// findFFmpeg returns nil if ffmpeg is not allowed or not there.
func findFFmpeg(ctx context.Context, p Params) (*ffmpeg, error) {
	if p.FFmpeg == "never" {
		return nil, nil
	}
	found, err := tool.Find(ctx, "ffmpeg", "-version")
	if errors.Is(err, exec.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &ffmpeg{found.Path, found.Version}, nil
}

// decode returns data as a WAV file. It goes through a file in dir, because
// some containers can only be read by seeking.
func (f *ffmpeg) decode(ctx context.Context, data []byte, rateHz int, dir string) (wav []byte, err error) {
	tmp, err := os.MkdirTemp(dir, "ffmpeg-*")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	if err := os.WriteFile(filepath.Join(tmp, "in"), data, 0o600); err != nil {
		return nil, err
	}
	r, err := tool.Run(ctx, tool.Cmd{
		Path: f.path,
		Args: []string{
			"-nostdin", "-hide_banner", "-loglevel", "error", "-xerror", "-threads", "1",
			"-protocol_whitelist", "file", "-format_whitelist", ffmpegFormats, "-i", "file:in",
			"-map", "0:a:0", "-map_metadata", "-1", "-bitexact", "-ac", "1", "-ar", strconv.Itoa(rateHz),
			"-c:a", "pcm_s16le", "-f", "s16le", "pipe:1",
		},
		Dir: tmp, Timeout: ffmpegTimeout, MaxOutputBytes: ffmpegMaxBytes,
	})
	var exit *tool.ExitError
	var limit *tool.LimitError
	switch {
	case errors.As(err, &limit) && int64(len(r.Stdout)) >= ffmpegMaxBytes:
		return nil, stage.Reject("more than %d MiB of sound", ffmpegMaxBytes>>20)
	case errors.As(err, &exit) && exit.Signal == 0:
		return nil, stage.Reject("%s", oneLine("ffmpeg cannot decode it: "+address.ReplaceAllString(exit.Stderr, "")))
	case err != nil:
		return nil, err
	case len(r.Stdout) < 2:
		return nil, stage.Reject("ffmpeg found no sound in it")
	}
	samples := make([]int16, len(r.Stdout)/2)
	for i := range samples {
		samples[i] = int16(binary.LittleEndian.Uint16(r.Stdout[2*i:]))
	}
	return encode(samples, rateHz)
}
