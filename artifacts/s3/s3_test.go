package s3_test

import (
	"errors"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/artifacts/remote"
	"github.com/hearsight/hearsight/artifacts/remotetest"
	"github.com/hearsight/hearsight/artifacts/s3"
)

var prefixes atomic.Int64

func open(t *testing.T, o s3.Options) *s3.Bucket {
	t.Helper()
	o.PartBytes = 5 << 20 // the least that S3 takes
	b, err := s3.Open("s3://bucket/some/prefix-"+string(rune('a'+prefixes.Add(1))), o)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestBucket holds a bucket to all that a remote promises.
func TestBucket(t *testing.T) {
	remotetest.StartServer(t, "bucket")
	remotetest.Suite(t, func(t *testing.T) remote.Remote { return open(t, s3.Options{}) })
}

// A wire is what lies between us and the server.
type wire func(*http.Request) (*http.Response, error)

func (w wire) RoundTrip(r *http.Request) (*http.Response, error) { return w(r) }

// TestResume: parts that arrived are not sent again.
func TestResume(t *testing.T) {
	remotetest.StartServer(t, "bucket")
	var parts, limit atomic.Int64
	limit.Store(2)
	arrived := make(chan struct{}, 100)
	b := open(t, s3.Options{Transport: wire(func(r *http.Request) (*http.Response, error) {
		if r.Method == http.MethodPut && r.URL.Query().Has("partNumber") {
			if parts.Add(1) > limit.Load() {
				<-arrived // or this one's failure would end the others half-way
				<-arrived
				return nil, errors.New("the line broke")
			}
			defer func() { arrived <- struct{}{} }()
		}
		return http.DefaultTransport.RoundTrip(r)
	})})
	src := remotetest.Source(remotetest.Data(1, remotetest.Big))
	const name = "objects/ab/cd"
	if err := b.Put(t.Context(), name, src); err == nil {
		t.Fatal("Put over a broken line gave no error")
	}
	if n := parts.Load(); n < 3 {
		t.Fatalf("%d parts were sent", n)
	}
	limit.Store(100)
	parts.Store(0)
	if err := b.Put(t.Context(), name, src); err != nil {
		t.Fatal(err)
	}
	if n := parts.Load(); n != 1 {
		t.Errorf("the second Put sent %d of 3 parts, want the one that was missing", n)
	}
}

// TestSpoiltOnTheWay: the server refuses bytes that changed on their way.
func TestSpoiltOnTheWay(t *testing.T) {
	remotetest.StartServer(t, "bucket")
	b := open(t, s3.Options{Transport: wire(func(r *http.Request) (*http.Response, error) {
		if r.Body != nil && r.Method == http.MethodPut {
			r.Body = flipped{r.Body}
		}
		return http.DefaultTransport.RoundTrip(r)
	})})
	for _, n := range []int{1000, remotetest.Big} {
		err := b.Put(t.Context(), "objects/ab/cd", remotetest.Source(remotetest.Data(1, n)))
		if err == nil {
			t.Errorf("Put of %d bytes that were spoilt on their way gave no error", n)
		}
		if _, err := b.Stat(t.Context(), "objects/ab/cd"); !errors.Is(err, artifacts.ErrNotFound) {
			t.Errorf("they are there: %v", err)
		}
	}
}

type flipped struct {
	body interface {
		Read([]byte) (int, error)
		Close() error
	}
}

func (f flipped) Close() error { return f.body.Close() }
func (f flipped) Read(p []byte) (int, error) {
	n, err := f.body.Read(p)
	if n > 0 {
		p[0] ^= 1
	}
	return n, err
}

// TestRefused: what the server does not let us do is said with a remedy, and
// without the secret.
func TestRefused(t *testing.T) {
	server := remotetest.StartServer(t, "bucket")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "another-canary-secret")
	_, err := open(t, s3.Options{}).Open(t.Context(), "objects/ab/cd", 0)
	if !errors.Is(err, remote.ErrRefused) || strings.Contains(err.Error(), "canary") {
		t.Errorf("with a wrong secret: %v", err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
	_, err = open(t, s3.Options{}).Open(t.Context(), "objects/ab/cd", 0)
	if !errors.Is(err, remote.ErrRefused) || !strings.Contains(err.Error(), "no credentials were found") {
		t.Errorf("without credentials: %v", err)
	}
	t.Setenv("AWS_ACCESS_KEY_ID", server.Access)
	t.Setenv("AWS_SECRET_ACCESS_KEY", server.Secret)
	b, err := s3.Open("s3://nobucket", s3.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err = b.Open(t.Context(), "objects/ab/cd", 0); !errors.Is(err, remote.ErrRefused) || !strings.Contains(err.Error(), "there is no bucket nobucket") {
		t.Errorf("without a bucket: %v", err)
	}
}
