package exec

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/hearsight/hearsight/internal/atomicfile"
	"github.com/hearsight/hearsight/internal/tool"
	"github.com/hearsight/hearsight/stages/stage"
)

// programs remembers for this process what programs it has looked up and
// hashed: a spec may name one in thousands of stages. A hash holds as long as
// the file's stamp; a name, once found, stands for the same file.
var programs = struct {
	sync.Mutex
	paths map[[2]string]string // PATH and name -> file
	sums  map[string]programSum
}{paths: map[[2]string]string{}, sums: map[string]programSum{}}

type programSum struct {
	stamp atomicfile.Stamp
	sum   string
}

// prepareProgram returns the program of a command by its bytes. None is
// returned for one of the stage's own files, which are hashed as an input.
func prepareProgram(_ context.Context, name, search string) ([]stage.Tool, error) {
	if own(name) {
		return nil, nil
	}
	if strings.Contains(name, "/") && !filepath.IsAbs(name) {
		return nil, fmt.Errorf("command %q: name a program on PATH, an absolute path, or one of the stage's files as {files}/…", name)
	}
	full, info, err := findProgram(name, search)
	if err != nil {
		return nil, fmt.Errorf("command %q is not there: %w", name, err)
	}
	sum, err := hashProgram(full, info)
	if err != nil {
		return nil, fmt.Errorf("command %q: %w", name, err)
	}
	return []stage.Tool{{Name: filepath.Base(name), Version: sum}}, nil
}

// own reports whether the program is one of the stage's own files.
func own(program string) bool {
	return program == "{files}" || below("{files}", program) || program == "files" || below("files", program)
}

// findProgram returns where a program of search lies, and its file as it is now.
func findProgram(name, search string) (string, os.FileInfo, error) {
	key := [2]string{search, name}
	programs.Lock()
	full, ok := programs.paths[key]
	programs.Unlock()
	if ok {
		if info, err := os.Stat(full); err == nil {
			return full, info, nil
		}
	}
	full, err := tool.PathIn(search, name)
	if err != nil {
		return "", nil, err
	}
	programs.Lock()
	programs.paths[key] = full
	programs.Unlock()
	info, err := os.Stat(full)
	return full, info, err
}

func hashProgram(path string, info os.FileInfo) (string, error) {
	stamp := atomicfile.StampOf(info)
	programs.Lock()
	known, ok := programs.sums[path]
	programs.Unlock()
	if ok && known.stamp == stamp {
		return known.sum, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	h := sha256.New()
	_, err = io.Copy(h, f)
	if err = errors.Join(err, f.Close()); err != nil {
		return "", err
	}
	sum := "sha256:" + hex.EncodeToString(h.Sum(nil))
	if info, err := os.Stat(path); err == nil && atomicfile.StampOf(info) == stamp {
		programs.Lock()
		programs.sums[path] = programSum{stamp, sum}
		programs.Unlock()
	}
	return sum, nil
}
