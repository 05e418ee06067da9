package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hearsight/hearsight/internal/inspect"
	"github.com/hearsight/hearsight/internal/tool"
	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	if inspect.IsChild(os.Args) || tool.IsSupervisor(os.Args) {
		main() // the children of tests that run in this process
	}
	testscript.Main(m, map[string]func(){"hearsight": main})
}

// TestScript runs the user's contract: testdata/script/*.txtar.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:           filepath.Join("testdata", "script"),
		Setup:         setup,
		UpdateScripts: os.Getenv("UPDATE_SCRIPTS") != "",
		Condition: func(cond string) (bool, error) {
			if cond == "nobody" {
				return canBeNobody(), nil
			}
			name, ok := strings.CutPrefix(cond, "tool:")
			if !ok {
				return false, fmt.Errorf("unknown condition %q", cond)
			}
			_, err := exec.LookPath(name)
			return err == nil, nil
		},
		Cmds: map[string]func(ts *testscript.TestScript, neg bool, args []string){
			"exits":  exits,
			"lines":  lineCount,
			"json":   jsonLines,
			"items":  items,
			"once":   once,
			"tones":  tones,
			"flip":   flip,
			"fifo":   fifo,
			"heard":  heard,
			"silent": silent,
			"begin":  begin,
			"await":  await,
			"signal": signalRun,
			"ends":   ends,
			"nobody": nobody,
		},
	})
}

// setup gives scripts the folder of hearsight and the path of espeak-ng, for
// those that want a PATH with nothing else.
func setup(env *testscript.Env) error {
	env.Values[startedKey{}] = &started{}
	program, err := exec.LookPath("hearsight")
	if err != nil {
		return err
	}
	espeak, _ := exec.LookPath("espeak-ng") // empty: the scripts skip
	env.Setenv("HEARSIGHT", filepath.Dir(program))
	env.Setenv("ESPEAK", espeak)
	return nil
}

// exits CODE ARGS…: hearsight ARGS ends with the exit code CODE.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE hearsight ARGS...")
	}
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	if e, ok := err.(interface{ ExitCode() int }); ok {
		code = e.ExitCode()
	} else if err != nil {
		ts.Fatalf("%v: %v", args[1:], err)
	}
	if got := fmt.Sprint(code); got != args[0] {
		ts.Fatalf("%v: exit code %s, want %s", args[1:], got, args[0])
	}
}

// lines N FILE: FILE has N lines.
func lineCount(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: [!] lines N FILE")
	}
	text := ts.ReadFile(args[1])
	if got := fmt.Sprint(strings.Count(text, "\n")); (got == args[0]) == neg {
		ts.Fatalf("%s has %s lines, want %s (negated: %v):\n%s", args[1], got, args[0], neg, text)
	}
}
