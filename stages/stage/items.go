package stage

import (
	"bytes"
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"iter"
	"sync"
)

// An Item is one unit of a per-item stage: a caption, a clip, a photo.
type Item struct {
	// ID names the item for as long as it lives: it decides the item's shard
	// and its place in it, so that a new item moves no other.
	ID string
	// Key is all of the input that decides the item's result, as lines such as
	// "text sha256:…". With the stage's own description it makes the item's key.
	Key []string
	// Ref is for the kind's own use: where Do finds the item's input.
	Ref any
}

// A Do makes one item's row. It is called from several goroutines at once. An
// error made by Reject sets the item aside; any other fails the stage.
type Do[R any] func(ctx context.Context, it Item) (R, error)

// A Table writes and reads the shards that rows of type R are kept in.
type Table[R any] interface {
	Schema() string // name and version: "hearsight.mfcc/1"
	Ext() string    // ".parquet", ".arrow"
	ID(row R) string
	// Write writes rows, which come in order of their ids, and returns how
	// many there were. Equal rows give equal bytes.
	Write(w io.Writer, rows iter.Seq2[R, error]) (int64, error)
	// Rows yields the rows of a shard in order.
	Rows(r io.ReaderAt, size int64) iter.Seq2[R, error]
}

// Items is the body of a per-item kind.
type Items[P, R any] struct {
	// List names the items of the inputs. It reads ids and digests, not contents.
	List func(ctx context.Context, t *Task, p P) ([]Item, error)
	// Open gets ready for the items of one run of the stage: weights are
	// loaded, readers opened. done releases what was taken.
	Open func(ctx context.Context, t *Task, p P) (do Do[R], done func() error, err error)
	// Table returns the format of the stage's shards.
	Table func(p P) Table[R]
}

// ItemOps is Items with its types erased, for the package that runs stages.
type ItemOps struct {
	List  func(ctx context.Context, t *Task, canonical []byte) ([]Item, error)
	Open  func(ctx context.Context, t *Task, canonical []byte) (do Do[any], done func() error, err error)
	Table func(canonical []byte) (Table[any], error)
	// Encode and Decode carry a row through the log of finished items that
	// lets an interrupted shard go on where it was.
	Encode func(row any) ([]byte, error)
	Decode func(b []byte) (any, error)
}

// NewItems returns the Kind k, which works item by item, with parameters of
// type P, defaults def and rows of type R.
func NewItems[P, R any](k Kind, def P, it Items[P, R]) Kind {
	k = withParams(k, def)
	k.items = &ItemOps{
		List: func(ctx context.Context, t *Task, canonical []byte) ([]Item, error) {
			p, err := parse[P](canonical)
			if err != nil {
				return nil, err
			}
			return it.List(ctx, t, p)
		},
		Open: func(ctx context.Context, t *Task, canonical []byte) (Do[any], func() error, error) {
			p, err := parse[P](canonical)
			if err != nil {
				return nil, nil, err
			}
			do, done, err := it.Open(ctx, t, p)
			if err != nil {
				return nil, nil, err
			}
			return func(ctx context.Context, i Item) (any, error) { return do(ctx, i) }, done, nil
		},
		Table: func(canonical []byte) (Table[any], error) {
			p, err := parse[P](canonical)
			if err != nil {
				return nil, err
			}
			return erased[R]{it.Table(p)}, nil
		},
		Encode: func(row any) ([]byte, error) {
			var b bytes.Buffer
			err := gob.NewEncoder(&b).Encode(row)
			return b.Bytes(), err
		},
		Decode: func(b []byte) (any, error) {
			var row R
			err := gob.NewDecoder(bytes.NewReader(b)).Decode(&row)
			return row, err
		},
	}
	return k
}

// erased lets a Table of one row type pass as a Table of any.
type erased[R any] struct{ t Table[R] }

func (e erased[R]) Schema() string { return e.t.Schema() }
func (e erased[R]) Ext() string    { return e.t.Ext() }
func (e erased[R]) ID(row any) string {
	r, _ := row.(R)
	return e.t.ID(r)
}

func (e erased[R]) Write(w io.Writer, rows iter.Seq2[any, error]) (int64, error) {
	return e.t.Write(w, func(yield func(R, error) bool) {
		for row, err := range rows {
			r, ok := row.(R)
			if err == nil && !ok {
				err = fmt.Errorf("row is a %T, not a %T", row, r)
			}
			if !yield(r, err) {
				return
			}
		}
	})
}

func (e erased[R]) Rows(r io.ReaderAt, size int64) iter.Seq2[any, error] {
	return func(yield func(any, error) bool) {
		for row, err := range e.t.Rows(r, size) {
			if !yield(row, err) {
				return
			}
		}
	}
}

// A Rejection is the error of an item that is set aside: the item is at fault,
// not the machine, so trying again will not help.
type Rejection struct{ Reason string }

func (r *Rejection) Error() string { return r.Reason }

// Reject returns an error that sets an item aside for a reason in one line.
func Reject(format string, args ...any) error {
	return &Rejection{Reason: fmt.Sprintf(format, args...)}
}

// Rejected returns the reason if err sets an item aside.
func Rejected(err error) (reason string, ok bool) {
	var r *Rejection
	if errors.As(err, &r) {
		return err.Error(), true
	}
	return "", false
}

// A Temporary error is worth another try: the machine was short of something.
type Temporary struct{ Err error }

func (t *Temporary) Error() string { return t.Err.Error() }
func (t *Temporary) Unwrap() error { return t.Err }

// Slack returns done, and until that has been called has 128 MiB count as living,
// the same for all stages that ask. The program has the collector run when there
// is .4 of what lives in garbage. Where each item leaves some and little lives
// on, a decoded clip say, it would run for every few of them, for a fifth of all
// time. The bytes are never touched, so that they take no memory; in pieces, as
// the runtime clears all of what lies in part where something was before.
func Slack(done func() error) func() error {
	slack.Lock()
	defer slack.Unlock()
	if slack.held++; slack.held == 1 {
		for range 128 {
			slack.pieces = append(slack.pieces, make([]byte, 1<<20))
		}
	}
	return func() error {
		slack.Lock()
		defer slack.Unlock()
		if slack.held--; slack.held == 0 {
			slack.pieces = nil
		}
		return done()
	}
}

var slack struct {
	sync.Mutex
	held   int
	pieces [][]byte
}
