package s3

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/minio/minio-go/v7"
)

func TestOpen(t *testing.T) {
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	for url, want := range map[string]string{
		"s3://bucket":               "s3://bucket",
		"s3://bucket/":              "s3://bucket",
		"s3://bucket/a/b":           "s3://bucket/a/b",
		"s3://bucket/a/../b/":       "s3://bucket/b",
		"s3://":                     "",
		"http://bucket":             "",
		"s3://key:canary@bucket/a":  "",
		"s3://bucket/a?key=canary":  "",
		"s3://bucket/a#canary":      "",
		"s3://canary:%zz@bucket/a":  "",
		"s3://Bucket_/:canary:%zz/": "",
	} {
		b, err := Open(url, Options{})
		switch {
		case want == "" && err == nil:
			t.Errorf("Open(%q) gave no error", url)
		case err != nil && (want != "" || strings.Contains(err.Error(), "canary")):
			t.Errorf("Open(%q): %v", url, err)
		case err == nil && b.String() != want:
			t.Errorf("Open(%q) = %s, want %s", url, b, want)
		}
	}
}

func TestEndpoint(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config")
	text := "[default]\nregion = eu-1\n[profile lab]\nregion = eu-2\nendpoint_url = http://lab:9000\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		env          map[string]string
		host, region string
		secure, bad  bool
	}{
		{env: map[string]string{}, host: "s3.amazonaws.com", region: "eu-1", secure: true},
		{env: map[string]string{"AWS_PROFILE": "lab"}, host: "lab:9000", region: "eu-2"},
		{env: map[string]string{"AWS_PROFILE": "lab", "AWS_ENDPOINT_URL": "https://x", "AWS_REGION": "us-1"}, host: "x", region: "us-1", secure: true},
		{env: map[string]string{"AWS_ENDPOINT_URL": "https://x", "AWS_ENDPOINT_URL_S3": "http://y"}, host: "y", region: "eu-1"},
		{env: map[string]string{"AWS_ENDPOINT_URL": "ftp://x"}, bad: true},
		{env: map[string]string{"AWS_ENDPOINT_URL": "http://user:canary@x"}, bad: true},
		{env: map[string]string{"AWS_ENDPOINT_URL": "http://x/path"}, bad: true},
	} {
		c.env["AWS_CONFIG_FILE"] = file
		getenv := func(name string) string { return c.env[name] }
		host, secure, err := endpointOf(getenv)
		if c.bad {
			if err == nil || strings.Contains(err.Error(), "canary") {
				t.Errorf("%v: %v", c.env, err)
			}
			continue
		}
		if err != nil || host != c.host || secure != c.secure || region(getenv) != c.region {
			t.Errorf("%v: %s, %v, %s, %v; want %s, %v, %s", c.env, host, secure, region(getenv), err, c.host, c.secure, c.region)
		}
	}
}

// TestServerFault: only what the server could not do is tried again.
func TestServerFault(t *testing.T) {
	for _, c := range []struct {
		err  error
		want bool
	}{
		{nil, false},
		{errors.New("InternalError"), false},
		{minio.ErrorResponse{Code: "AccessDenied", StatusCode: 403}, false},
		{minio.ErrorResponse{Code: "InternalError", StatusCode: 200}, true},
		{fmt.Errorf("part 3: %w", minio.ErrorResponse{Code: "SlowDown", StatusCode: 503}), true},
	} {
		if got := serverFault(c.err); got != c.want {
			t.Errorf("%v: %v, want %v", c.err, got, c.want)
		}
	}
}
