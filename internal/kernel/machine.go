package kernel

import (
	"bufio"
	"fmt"
	"os"
	"runtime"
	"strings"
)

// Machine names the processor and how many of its threads Go's code may run on,
// "AMD EPYC 9B45, 2 CPUs", for whoever wants to know where a figure was measured.
// No result depends on it.
func Machine() string {
	return fmt.Sprintf("%s, %d CPUs", processor(), runtime.GOMAXPROCS(0))
}

// processor is what Linux calls it, else the system and the architecture.
func processor() string {
	if f, err := os.Open("/proc/cpuinfo"); err == nil {
		defer f.Close()
		for s := bufio.NewScanner(f); s.Scan(); {
			if key, value, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(key) == "model name" && strings.TrimSpace(value) != "" {
				return strings.TrimSpace(value)
			}
		}
	}
	return runtime.GOOS + "/" + runtime.GOARCH
}
