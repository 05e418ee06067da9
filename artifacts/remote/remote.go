package remote

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"

	"github.com/hearsight/hearsight/artifacts"
)

// A Remote keeps files by name: slash-separated local paths. Its methods may be
// called from several goroutines at once, and several machines may use one.
// Package remotetest holds each Remote to what is said here.
type Remote interface {
	// String names the remote for people: never a credential.
	String() string
	// Stat says what is known of a file without reading it. If there is none
	// the error wraps artifacts.ErrNotFound.
	Stat(ctx context.Context, name string) (Info, error)
	// Open opens a file for reading from the given byte on. If there is no
	// file the error wraps artifacts.ErrNotFound. The caller closes it.
	Open(ctx context.Context, name string, from int64) (io.ReadCloser, error)
	// Put makes name hold the source, whole or not at all, in place of what it
	// held. It returns nil only when the remote's copy is known to have the
	// source's digest; source bytes that have another are an error. A Put that
	// was cut off goes on where it was when it is called again.
	Put(ctx context.Context, name string, src Source) error
}

// ErrRefused says that a remote does not let us: trying again is no use.
var ErrRefused = errors.New("refused")

// Info is what a Remote says of a file.
type Info struct {
	Size   int64            // bytes
	Digest artifacts.Digest // zero: the remote does not know
}

// A Source is what is put.
type Source struct {
	Body   io.ReaderAt
	Size   int64 // bytes
	Digest artifacts.Digest
}

// ObjectName is the name of an object's file.
func ObjectName(d artifacts.Digest) string { return hashName("objects", d, "") }

// ActionName is the name of an action's file.
func ActionName(k artifacts.ActionKey) string { return hashName("actions", k, ".json") }

// LineageName is the name of the file that says what name stands for.
func LineageName(name string) string { return hashName("lineage", sha256.Sum256([]byte(name)), "") }

func hashName(top string, h [32]byte, ext string) string {
	x := hex.EncodeToString(h[:])
	return top + "/" + x[:2] + "/" + x[2:] + ext
}
