// Package s3 is a remote in a bucket of Amazon S3 or of anything that speaks
// its language.
//
// Credentials come from where every AWS tool looks for them: the environment
// (AWS_ACCESS_KEY_ID and so on), the shared files (~/.aws/credentials and
// ~/.aws/config, or where AWS_SHARED_CREDENTIALS_FILE and AWS_CONFIG_FILE point,
// profile AWS_PROFILE), and a container's or a web identity's where the
// environment names one. A URL never holds any. They stay in this package: no
// error, log or file of ours has them.
//
// AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL names another server, AWS_REGION or
// AWS_DEFAULT_REGION the region.
//
// # Uploads
//
// The server is told the SHA-256 of each body and refuses one that has another,
// so that a file is verified as it arrives. What it says it has stored is
// compared; a server that says nothing of it is read back. Files of more than
// partBytes go in parts, several at a time. Parts that arrived before an
// interruption are found again and not sent twice.
package s3

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/artifacts/remote"
)

// Options say how a bucket is reached. The zero value does so as the
// environment says.
type Options struct {
	Transport http.RoundTripper // nil: minio-go's
	PartBytes int64             // size of parts; 0: 16 MiB
}

// A Bucket is a remote.Remote.
type Bucket struct {
	core      minio.Core
	bucket    string
	prefix    string // "" or ends in a slash
	partBytes int64
}

const defaultPart = 16 << 20

// maxParts is S3's 10,000, with some to spare.
const maxParts = 9000

// Open returns the remote at a URL, s3://BUCKET or s3://BUCKET/PREFIX. It asks
// nothing of the server.
func Open(rawURL string, o Options) (*Bucket, error) {
	u, err := url.Parse(rawURL)
	if err != nil || u.Scheme != "s3" || u.Host == "" {
		return nil, errors.New("want s3://BUCKET or s3://BUCKET/PREFIX") // not what was given: it may hold a secret
	}
	if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("an s3:// URL holds a bucket and a prefix, no credentials or options: those come from the environment or ~/.aws (see docs/remotes.md)")
	}
	endpoint, secure, err := endpointOf(os.Getenv)
	if err != nil {
		return nil, err
	}
	creds := credentials.NewChainCredentials(providers(os.Getenv))
	b := &Bucket{bucket: u.Host, partBytes: o.PartBytes}
	if p := strings.Trim(path.Clean(u.Path), "/."); p != "" {
		b.prefix = p + "/"
	}
	if b.partBytes == 0 {
		b.partBytes = defaultPart
	}
	lookup := minio.BucketLookupPath
	if strings.HasSuffix(endpoint, ".amazonaws.com") {
		lookup = minio.BucketLookupAuto
	}
	client, err := minio.New(endpoint, &minio.Options{Creds: creds, Secure: secure, Transport: o.Transport, Region: region(os.Getenv), BucketLookup: lookup, MaxRetries: 1})
	if err != nil {
		return nil, fmt.Errorf("s3://%s: %w", u.Host, err)
	}
	b.core.Client = client
	return b, nil
}

// String is the URL, which holds no credentials.
func (b *Bucket) String() string {
	return strings.TrimSuffix("s3://"+b.bucket+"/"+b.prefix, "/")
}

// Stat is Remote's.
func (b *Bucket) Stat(ctx context.Context, name string) (remote.Info, error) {
	info, err := b.core.StatObject(ctx, b.bucket, b.prefix+name, minio.StatObjectOptions{Checksum: true})
	if err != nil {
		return remote.Info{}, b.inWords(err)
	}
	return remote.Info{Size: info.Size, Digest: digestOf(info.ChecksumSHA256)}, nil
}

// digestOf reads a checksum of a whole file; that of one in parts, which ends
// in their number, is none of the file's bytes.
func digestOf(base64Sum string) (d artifacts.Digest) {
	sum, err := base64.StdEncoding.DecodeString(base64Sum)
	if err == nil && len(sum) == len(d) {
		copy(d[:], sum)
	}
	return d
}

// Open is Remote's.
func (b *Bucket) Open(ctx context.Context, name string, from int64) (io.ReadCloser, error) {
	var o minio.GetObjectOptions
	if from > 0 {
		if err := o.SetRange(from, 0); err != nil {
			return nil, err
		}
	}
	r, _, _, err := b.core.GetObject(ctx, b.bucket, b.prefix+name, o)
	if err != nil {
		if minio.ToErrorResponse(err).StatusCode == http.StatusRequestedRangeNotSatisfiable {
			return io.NopCloser(strings.NewReader("")), nil // it ends before
		}
		return nil, b.inWords(err)
	}
	return r, nil
}

// Put is Remote's.
func (b *Bucket) Put(ctx context.Context, name string, src remote.Source) error {
	stored, err := b.send(ctx, name, src)
	for try := 1; try < putTries && serverFault(err); try++ {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Duration(try) * putWait):
		}
		stored, err = b.send(ctx, name, src)
	}
	if err != nil {
		return b.inWords(err)
	}
	if stored != "" { // it was compared
		return nil
	}
	return b.readBack(ctx, name, src)
}

// The client tries each request again; what a server could not do with an upload
// in parts as a whole, as when two come to their end at once, needs a new one.
const (
	putTries = 4
	putWait  = 200 * time.Millisecond
)

// serverFault reports whether the server says that it failed, not that the request
// was wrong.
func serverFault(err error) bool {
	var r minio.ErrorResponse
	return errors.As(err, &r) && (r.StatusCode >= 500 || r.Code == "InternalError") // which may come with 200
}

// send sends a file and returns the checksum that the server says it stored, or
// "".
func (b *Bucket) send(ctx context.Context, name string, src remote.Source) (string, error) {
	if src.Size > b.partBytes {
		return b.putParts(ctx, b.prefix+name, src)
	}
	return b.putWhole(ctx, b.prefix+name, src)
}

// putWhole sends a file in one request and returns the checksum that the server
// says it stored, which is the right one, or "".
func (b *Bucket) putWhole(ctx context.Context, key string, src remote.Source) (string, error) {
	want := base64.StdEncoding.EncodeToString(src.Digest[:])
	o := minio.PutObjectOptions{UserMetadata: map[string]string{"x-amz-checksum-sha256": want}}
	info, err := b.core.PutObject(ctx, b.bucket, key, io.NewSectionReader(src.Body, 0, src.Size), src.Size, "", hex.EncodeToString(src.Digest[:]), o)
	if err != nil {
		return "", err
	}
	return info.ChecksumSHA256, same(info.ChecksumSHA256, want)
}

func same(got, want string) error {
	if got != "" && got != want {
		return fmt.Errorf("%w: the server stored bytes with the checksum %.60s, not %s", artifacts.ErrWrongBytes, got, want)
	}
	return nil
}

// readBack holds what the server has to the source's digest.
func (b *Bucket) readBack(ctx context.Context, name string, src remote.Source) error {
	r, err := b.Open(ctx, name, 0)
	if err != nil {
		return err
	}
	defer r.Close()
	h := sha256.New()
	if _, err := io.Copy(h, io.LimitReader(r, src.Size+1)); err != nil {
		return err
	}
	if got := artifacts.Digest(h.Sum(nil)); got != src.Digest {
		return fmt.Errorf("%w: what the server has has the digest %s, not %s", artifacts.ErrWrongBytes, got, src.Digest)
	}
	return nil
}

// inWords tells apart what is not there and what may not be done.
func (b *Bucket) inWords(err error) error {
	e := minio.ToErrorResponse(err)
	switch e.Code {
	case minio.NoSuchKey:
		return fmt.Errorf("%w in s3://%s", artifacts.ErrNotFound, b.bucket)
	case minio.NoSuchBucket:
		return fmt.Errorf("there is no bucket %s at this server (AWS_ENDPOINT_URL_S3 names another): %w", b.bucket, remote.ErrRefused)
	case "BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch":
		return fmt.Errorf("%w: the server refused them: %s", artifacts.ErrWrongBytes, e.Code)
	}
	switch e.StatusCode {
	case http.StatusNotFound:
		return fmt.Errorf("%w in s3://%s", artifacts.ErrNotFound, b.bucket)
	case http.StatusForbidden, http.StatusUnauthorized:
		hint := "these credentials may not do it: reading needs s3:GetObject and s3:ListBucket, pushing s3:PutObject too"
		if v, err := b.core.GetCreds(); err != nil || v.AccessKeyID == "" {
			hint = "no credentials were found: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"
		}
		return fmt.Errorf("%s: %s: %w", e.Code, hint, remote.ErrRefused)
	}
	return err
}
