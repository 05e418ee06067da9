package remotetest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// A Server is an S3 server of a test's own.
type Server struct {
	URL            string // http://127.0.0.1:PORT
	Access, Secret string
	Dir            string // each folder in it is a bucket
}

// ServerVariable names the program, versitygw, that StartServer starts.
// scripts/s3.sh installs it and sets the variable.
const ServerVariable = "HEARSIGHT_VERSITYGW"

// StartServer starts an S3 server with an empty bucket, which ends with the
// test, and sets the AWS variables to it. Without the program the test is
// skipped.
func StartServer(t testing.TB, bucket string) *Server {
	t.Helper()
	program := os.Getenv(ServerVariable)
	if program == "" {
		t.Skip("no S3 server: scripts/s3.sh installs versitygw and runs this test")
	}
	dir := t.TempDir()
	for _, d := range []string{"data/" + bucket, "meta"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	s := &Server{URL: "http://" + addr, Access: "test-access-key", Secret: "canary-secret-key-0123456789", Dir: filepath.Join(dir, "data")}
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command(program, "--access", s.Access, "--secret", s.Secret, "--port", addr, "--quiet", "posix", "--sidecar", filepath.Join(dir, "meta"), s.Dir)
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = c.Process.Kill()
		_ = c.Wait()
		log.Close()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("the server said: %.4000s", text)
		}
	})
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := listening(ctx, addr); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"AWS_ENDPOINT_URL_S3": s.URL, "AWS_ACCESS_KEY_ID": s.Access, "AWS_SECRET_ACCESS_KEY": s.Secret,
		"AWS_REGION": "us-east-1", "AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull} {
		if st, ok := t.(*testing.T); ok {
			st.Setenv(name, value)
		}
	}
	return s
}

// listening waits until somebody listens.
func listening(ctx context.Context, addr string) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := net.Dial("tcp", addr)
		if err == nil {
			return c.Close()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("the S3 server does not listen: %w", err)
		}
	}
}
