package kernel

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
)

func TestMachine(t *testing.T) {
	name, ok := strings.CutSuffix(Machine(), fmt.Sprintf(", %d CPUs", runtime.GOMAXPROCS(0)))
	if !ok || name == "" || name != strings.TrimSpace(name) || strings.ContainsAny(name, "\n\t") {
		t.Errorf("%q", Machine())
	}
}
