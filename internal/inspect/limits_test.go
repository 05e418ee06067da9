package inspect

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"runtime"
	"testing"
	"time"
)

// misbehave does, in a confined process, what hostile files make decoders do.
func misbehave(how string) {
	confine(0, false)
	switch how {
	case "hog": // many allocations, all of them touched
		var held [][]byte
		for range 500 {
			b := make([]byte, 1<<20)
			for i := 0; i < len(b); i += 4096 {
				b[i] = 1
			}
			held = append(held, b)
		}
		runtime.KeepAlive(held)
	case "spin":
		for i := 0; ; i++ {
			runtime.KeepAlive(i)
		}
	case "panic": // where no recover can reach
		go func() { panic("of a decoder's own goroutine\nover two lines") }()
		select {}
	}
}

func TestChildrenAreConfined(t *testing.T) {
	for _, c := range []struct{ how, want string }{
		{"hog", "asks for more memory than it should"},
		{"panic", "damaged: its decoder died of panic: of a decoder's own goroutine"},
		{"spin", "took too long to read"},
	} {
		if c.how == "spin" && (testing.Short() || runtime.GOOS != "linux") {
			continue // takes its two seconds, and elsewhere ten
		}
		ctx, stop := context.WithTimeout(context.Background(), 20*time.Second)
		cmd := exec.CommandContext(ctx, os.Args[0], "misbehave", c.how)
		complaint := limited{left: 64 << 10, drop: true}
		cmd.Stderr = &complaint
		err := cmd.Run()
		var exit *exec.ExitError
		if !errors.As(err, &exit) {
			t.Errorf("%s: %v, want it to be ended", c.how, err)
		} else if got := why(ctx, err, complaint.buf.String()); got != c.want {
			t.Errorf("%s: %q, want %q", c.how, got, c.want)
		}
		stop()
	}
	checkRSS(t)
}
