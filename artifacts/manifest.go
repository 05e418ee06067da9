package artifacts

import (
	"encoding/hex"
	"fmt"
	"os"
	"strings"
)

// A Digest is the SHA-256 of some bytes: an object's name.
type Digest [32]byte

// An ActionKey is the SHA-256 of the description of an action: everything that
// decides its result. It is a type of its own so that it cannot be taken for a
// Digest.
type ActionKey [32]byte

const digestPrefix = "sha256:"

func (d Digest) String() string    { return digestPrefix + hex.EncodeToString(d[:]) }
func (k ActionKey) String() string { return digestPrefix + hex.EncodeToString(k[:]) }

// IsZero reports whether d was never set.
func (d Digest) IsZero() bool { return d == Digest{} }

// ParseDigest reads the form that String writes.
func ParseDigest(s string) (Digest, error) {
	b, err := parse(s)
	return Digest(b), err
}

// ParseActionKey reads the form that String writes.
func ParseActionKey(s string) (ActionKey, error) {
	b, err := parse(s)
	return ActionKey(b), err
}

func parse(s string) (out [32]byte, err error) {
	h, ok := strings.CutPrefix(s, digestPrefix)
	if !ok || len(h) != 64 || strings.ToLower(h) != h {
		return out, fmt.Errorf("digest %.80q is not sha256: and 64 hexadecimal digits", s)
	}
	if _, err := hex.Decode(out[:], []byte(h)); err != nil {
		return out, fmt.Errorf("digest %.80q: %w", s, err)
	}
	return out, nil
}

// MarshalText writes the form that String gives.
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalText reads the form that String gives.
func (d *Digest) UnmarshalText(b []byte) (err error) {
	*d, err = ParseDigest(string(b))
	return err
}

// MarshalText writes the form that String gives.
func (k ActionKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads the form that String gives.
func (k *ActionKey) UnmarshalText(b []byte) (err error) {
	*k, err = ParseActionKey(string(b))
	return err
}

// A Manifest is what an artifact consists of. It is an object itself, and its
// digest is the artifact's: equal contents, equal digest, however and whenever
// they were made. How an artifact was made stands in the Action that made it.
type Manifest struct {
	Type     string `json:"type"`  // pairs, speech, wav, mfcc, images, features, model, scores, report, files
	Parts    []Part `json:"parts"` // sorted by name
	Items    int64  `json:"items,omitempty"`
	Rejected int64  `json:"rejected,omitempty"`
}

// A Part is a named file of an artifact.
type Part struct {
	Name   string `json:"name"` // "mfcc-03.parquet"; may hold slashes for a tree of files
	Digest Digest `json:"digest"`
	Size   int64  `json:"size"`
	Rows   int64  `json:"rows,omitempty"`
	Schema string `json:"schema,omitempty"` // "hearsight.mfcc/1"; empty: bare bytes
}

// An Action records that the work described by Description, whose hash is its
// key, gave the artifact Manifest. The file that holds it is the commit point.
type Action struct {
	Description string `json:"description"`
	Manifest    Digest `json:"manifest"`
}

// Encode returns the contents of the action's file.
func (a Action) Encode() ([]byte, error) { return canonical(a) }

// ParseAction reads what Encode gave and holds it to the key k: its
// description must hash to that. Of the manifest it says nothing: who wrote
// the file is taken at his word.
func ParseAction(k ActionKey, data []byte) (*Action, error) {
	var act Action
	if err := decode(data, &act); err != nil {
		return nil, fmt.Errorf("damaged: %w", err)
	}
	if got := KeyOf(act.Description); got != k {
		return nil, fmt.Errorf("damaged: its description has the key %s", got)
	}
	return &act, nil
}

// An Artifact is a manifest together with the store that holds its parts.
type Artifact struct {
	Digest   Digest
	Manifest Manifest
	store    *Store
}

// Part returns the part called name.
func (a *Artifact) Part(name string) (Part, bool) {
	for _, p := range a.Manifest.Parts {
		if p.Name == name {
			return p, true
		}
	}
	return Part{}, false
}

// Parts returns the parts with the given schema, in order of their names.
func (a *Artifact) Parts(schema string) []Part {
	var out []Part
	for _, p := range a.Manifest.Parts {
		if p.Schema == schema {
			out = append(out, p)
		}
	}
	return out
}

// Open opens a part for reading. Its bytes are verified against its digest
// when it is opened for the first time in this process.
func (a *Artifact) Open(p Part) (*os.File, error) {
	if a.store == nil {
		return nil, fmt.Errorf("open %.80q: it lies outside the store", p.Name)
	}
	return a.store.OpenObject(p.Digest)
}
