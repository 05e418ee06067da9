package main

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/hearsight/hearsight/artifacts/remotetest"
)

// TestS3 is the story of a bucket: one machine runs and pushes, another with an
// empty store runs nothing and gets the same digests, and the secret is
// nowhere: not in a store, nor in the bucket, nor in what was printed.
func TestS3(t *testing.T) {
	server := remotetest.StartServer(t, "lab")
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "pipeline.yaml"), []byte(stormSpec), 0o644); err != nil {
		t.Fatal(err)
	}
	var printed []byte
	do := func(ok bool, args ...string) string {
		t.Helper()
		out, errs, err := hearsight(dir, args...)
		printed = append(append(printed, out...), errs...)
		if (err == nil) != ok {
			t.Fatalf("%v: %v\n%s%s", args, err, out, errs)
		}
		return string(out)
	}
	const bucket = "s3://lab/some/results"
	do(true, "run")
	want := do(true, "digest")
	do(true, "push", "--remote", bucket)
	do(true, "push", "--remote", bucket, "--check", "--json")
	out := do(true, "run", "--store", "second", "--remote", bucket)
	if out != "0 stages ran, 3 were up to date\n" {
		t.Errorf("the second machine said %q", out)
	}
	do(true, "pull", "--store", "third", "--remote", bucket)
	for _, store := range []string{"second", "third"} {
		if got := do(true, "digest", "--store", store); got != want {
			t.Errorf("%s has the digests\n%swant\n%s", store, got, want)
		}
	}
	do(false, "push", "--remote", "s3://nobucket")
	t.Setenv("AWS_SECRET_ACCESS_KEY", server.Secret+"-wrong")
	do(false, "push", "--remote", bucket)
	do(true, "run", "--store", "fourth", "--remote", bucket)
	t.Setenv("AWS_SECRET_ACCESS_KEY", server.Secret)
	t.Setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
	do(true, "run", "--store", "fifth", "--remote", bucket)
	do(false, "pull", "--store", "sixth", "--remote", bucket)
	for _, store := range []string{"fourth", "fifth"} {
		if got := do(true, "digest", "--store", store); got != want {
			t.Errorf("%s has the digests\n%swant\n%s", store, got, want)
		}
	}
	if bytes.Contains(printed, []byte(server.Secret)) {
		t.Errorf("the secret was printed:\n%s", printed)
	}
	for _, top := range []string{dir, server.Dir} {
		err := filepath.WalkDir(top, func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return err
			}
			data, err := os.ReadFile(path)
			if bytes.Contains(data, []byte(server.Secret)) {
				t.Errorf("the secret is in %s", path)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}
