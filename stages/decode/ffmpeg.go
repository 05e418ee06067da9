package decode

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"time"

	"github.com/hearsight/hearsight/internal/audio"
	"github.com/hearsight/hearsight/internal/tool"
	"github.com/hearsight/hearsight/stages/stage"
)

const (
	// ffmpegMaxBytes of 32-bit samples are 50 minutes at 44,100 Hz in stereo.
	ffmpegMaxBytes = 1 << 30
	ffmpegTimeout  = 2 * time.Minute // of a clip by itself
	// Several clips in one process are to be short: what one is over this in
	// time, or its sound in size, it is by itself.
	batchTimeout  = 30 * time.Second
	batchMaxBytes = 8 << 20 // 47 s at 44,100 Hz
	// ffmpegFormats are the containers that ffmpeg may take a file for. Among
	// its others are playlists, which name files to read.
	ffmpegFormats = "mov,flac,ogg,matroska,mp3,aac,wav,aiff,caf,amr,au,asf,wv,w64"
)

// address is what differs in ffmpeg's messages from call to call.
var address = regexp.MustCompile(` ?@ 0x[0-9a-f]+`)

// ffmpeg decodes what internal/audio does not.
type ffmpeg struct {
	path string
	keep bool // take what it makes of a damaged clip
}

// findFFmpeg returns where ffmpeg is and its version, nothing if it is not
// allowed or not there.
func findFFmpeg(ctx context.Context, p Params) (tool.Tool, error) {
	if p.FFmpeg == "never" {
		return tool.Tool{}, nil
	}
	found, err := tool.Find(ctx, "ffmpeg", "-version")
	if errors.Is(err, exec.ErrNotFound) {
		return tool.Tool{}, nil
	}
	return found, err
}

// pathFFmpeg returns nil if ffmpeg is not allowed or not there.
func pathFFmpeg(p Params) (*ffmpeg, error) {
	if p.FFmpeg == "never" {
		return nil, nil
	}
	path, err := tool.Path("ffmpeg")
	if errors.Is(err, exec.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &ffmpeg{path: path, keep: p.OnDamage == "keep"}, nil
}

// A decoded clip, or why there is none: a rejection, or what went wrong here.
type decoded struct {
	pcm    *audio.PCM
	damage string // what ffmpeg had to say of a clip that it did decode
	err    error
}

// decodeAll decodes clips, all in one process. Where that one fails or complains,
// it does so again with either half of them, and so on: what is said of a clip is
// always what ffmpeg says of it alone. It goes through files in dir, because
// some containers can only be read by seeking.
func (f *ffmpeg) decodeAll(ctx context.Context, clips [][]byte, dir string) []decoded {
	out, err := f.try(ctx, clips, dir, true)
	if err == nil {
		return out
	}
	if reason, rejected := stage.Rejected(err); rejected && f.keep && len(clips) == 1 {
		if out, err := f.try(ctx, clips, dir, false); err == nil {
			out[0].damage = reason
			return out
		}
	}
	if len(clips) == 1 || ctx.Err() != nil {
		out = make([]decoded, len(clips))
		for i := range out {
			out[i].err = err
		}
		return out
	}
	half := len(clips) / 2
	return append(f.decodeAll(ctx, clips[:half], dir), f.decodeAll(ctx, clips[half:], dir)...)
}

// try decodes clips in one process, all or none. If strict, the first fault ends
// it, and so does a complaint.
func (f *ffmpeg) try(ctx context.Context, clips [][]byte, dir string, strict bool) (out []decoded, err error) {
	tmp, err := os.MkdirTemp(dir, "ffmpeg-*")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(tmp)) }()
	args := []string{"-nostdin", "-hide_banner", "-loglevel", "error"}
	if strict {
		args = append(args, "-xerror")
	}
	for i, data := range clips {
		name := strconv.Itoa(i)
		if err := os.WriteFile(filepath.Join(tmp, name), data, 0o600); err != nil {
			return nil, err
		}
		args = append(args, "-threads", "1", "-protocol_whitelist", "file", "-format_whitelist", ffmpegFormats, "-i", "file:"+name)
	}
	for i := range clips {
		name := strconv.Itoa(i)
		args = append(args, "-map", name+":a:0", "-map_metadata", "-1", "-bitexact", "-c:a", "pcm_f32le", "-f", "wav", "file:"+name+".wav")
	}
	c := tool.Cmd{Path: f.path, Args: args, Dir: tmp, Timeout: ffmpegTimeout, MaxFileBytes: ffmpegMaxBytes}
	if len(clips) > 1 {
		c.Timeout, c.MaxFileBytes = batchTimeout, batchMaxBytes
	}
	r, err := tool.Run(ctx, c)
	if err := judge(r, err, strict); err != nil {
		return nil, err
	}
	out = make([]decoded, len(clips))
	for i := range clips {
		if out[i].pcm, err = readDecoded(filepath.Join(tmp, strconv.Itoa(i)+".wav")); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// judge turns what became of a process into a rejection, if the clip is to blame.
func judge(r tool.Result, err error, strict bool) error {
	var exit *tool.ExitError
	var limit *tool.LimitError
	switch {
	case errors.As(err, &limit):
		return stage.Reject("ffmpeg %s over it", limit.Reason)
	case errors.As(err, &exit) && exit.Signal == 0:
		return stage.Reject("%s", oneLine("ffmpeg cannot decode it: "+address.ReplaceAllString(exit.Stderr, "")))
	case errors.As(err, &exit) && exit.Signal != syscall.SIGKILL && exit.Signal != syscall.SIGTERM:
		return stage.Reject("ffmpeg breaks down over it: %v", exit.Signal)
	case err == nil && r.Stderr != "" && strict:
		return stage.Reject("%s", oneLine("damaged: ffmpeg says: "+address.ReplaceAllString(r.Stderr, "")))
	}
	return err
}

// readDecoded reads what ffmpeg wrote of a clip.
func readDecoded(path string) (*audio.PCM, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("ffmpeg left no output: %w", err)
	}
	pcm, info, err := audio.Decode("ffmpeg's output", data)
	switch {
	case err != nil:
		return nil, stage.Reject("%s", oneLine("ffmpeg found no sound in it: "+err.Error()))
	case info.Damaged || int64(len(data)) >= ffmpegMaxBytes:
		return nil, stage.Reject("more than %d MiB of sound", ffmpegMaxBytes>>20)
	}
	return pcm, nil
}
