package s3

import (
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/minio/minio-go/v7"
	"golang.org/x/sync/errgroup"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/artifacts/remote"
)

// partsAtOnce is how many parts of one file are under way.
const partsAtOnce = 4

// sizeOfParts returns the size of the parts of a file: that of every Put of it,
// so that an interrupted one can go on.
func (b *Bucket) sizeOfParts(size int64) int64 {
	return max(b.partBytes, (size+maxParts-1)/maxParts)
}

// putParts sends a file in parts and returns the checksum that the server says
// it stored, which is the right one, or "".
func (b *Bucket) putParts(ctx context.Context, key string, src remote.Source) (string, error) {
	id, have, err := b.resume(ctx, key)
	if err == nil && id == "" {
		o := minio.PutObjectOptions{UserMetadata: map[string]string{"x-amz-checksum-algorithm": "SHA256"}}
		id, err = b.core.NewMultipartUpload(ctx, b.bucket, key, o)
	}
	if err != nil {
		return "", err
	}
	step := b.sizeOfParts(src.Size)
	n := int((src.Size + step - 1) / step)
	parts, sums := make([]minio.CompletePart, n), make([][32]byte, n)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(partsAtOnce)
	for i := range n {
		g.Go(func() (err error) {
			r := io.NewSectionReader(src.Body, int64(i)*step, min(step, src.Size-int64(i)*step))
			parts[i], sums[i], err = b.part(gctx, key, id, i+1, r, have[i+1])
			return err
		})
	}
	err = g.Wait()
	if err == nil {
		err = whole(src)
	}
	if errors.Is(err, artifacts.ErrWrongBytes) { // none of it is of use
		err = errors.Join(err, b.core.AbortMultipartUpload(ctx, b.bucket, key, id))
	}
	if err != nil {
		return "", err
	}
	info, err := b.core.CompleteMultipartUpload(ctx, b.bucket, key, id, parts, minio.PutObjectOptions{})
	if err != nil {
		return "", err
	}
	h := sha256.New()
	for _, s := range sums {
		h.Write(s[:])
	}
	return info.ChecksumSHA256, same(info.ChecksumSHA256, fmt.Sprintf("%s-%d", base64.StdEncoding.EncodeToString(h.Sum(nil)), n))
}

// whole holds a source to its digest: of a file in parts the server cannot tell.
func whole(src remote.Source) error {
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(src.Body, 0, src.Size)); err != nil {
		return err
	}
	if got := artifacts.Digest(h.Sum(nil)); got != src.Digest {
		return fmt.Errorf("%w: what is to be put has the digest %s, not %s", artifacts.ErrWrongBytes, got, src.Digest)
	}
	return nil
}

// part sends one part unless the server has it, and returns what the server is
// to put together and the part's SHA-256.
func (b *Bucket) part(ctx context.Context, key, id string, number int, r *io.SectionReader, old minio.ObjectPart) (minio.CompletePart, [32]byte, error) {
	sha, md := sha256.New(), md5.New()
	if _, err := io.Copy(io.MultiWriter(sha, md), r); err != nil {
		return minio.CompletePart{}, [32]byte{}, err
	}
	sum := [32]byte(sha.Sum(nil))
	want := base64.StdEncoding.EncodeToString(sum[:])
	done := minio.CompletePart{PartNumber: number, ETag: old.ETag, ChecksumSHA256: old.ChecksumSHA256}
	if old.Size == r.Size() && (old.ChecksumSHA256 == want || old.ChecksumSHA256 == "" && old.ETag == hex.EncodeToString(md.Sum(nil))) {
		return done, sum, nil
	}
	if _, err := r.Seek(0, io.SeekStart); err != nil {
		return done, sum, err
	}
	o := minio.PutObjectPartOptions{Sha256Hex: hex.EncodeToString(sum[:]), CustomHeader: http.Header{"X-Amz-Checksum-Sha256": {want}}}
	sent, err := b.core.PutObjectPart(ctx, b.bucket, key, id, number, r, r.Size(), o)
	if err == nil {
		err = same(sent.ChecksumSHA256, want)
	}
	done.ETag, done.ChecksumSHA256 = sent.ETag, sent.ChecksumSHA256
	return done, sum, err
}

// resume finds an upload of key that was cut off, and its parts by number. That
// the server cannot list them only means that all is sent again.
func (b *Bucket) resume(ctx context.Context, key string) (id string, have map[int]minio.ObjectPart, err error) {
	list, err := b.core.ListMultipartUploads(ctx, b.bucket, key, "", "", "", 1000)
	if err != nil {
		return "", nil, ctx.Err()
	}
	for _, u := range list.Uploads {
		if u.Key == key {
			id = u.UploadID // the last one
		}
	}
	have = map[int]minio.ObjectPart{}
	for from := 0; id != ""; {
		r, err := b.core.ListObjectParts(ctx, b.bucket, key, id, from, 1000)
		if err != nil {
			return "", nil, ctx.Err()
		}
		for _, p := range r.ObjectParts {
			p.ETag = trim(p.ETag)
			have[p.PartNumber] = p
		}
		if from = r.NextPartNumberMarker; !r.IsTruncated {
			break
		}
	}
	return id, have, nil
}

func trim(etag string) string {
	if n := len(etag); n > 1 && etag[0] == '"' && etag[n-1] == '"' {
		return etag[1 : n-1]
	}
	return etag
}
