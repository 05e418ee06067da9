package artifacts

import (
	"encoding/hex"
	"fmt"
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
