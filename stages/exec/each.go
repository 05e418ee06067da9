package exec

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hearsight/hearsight/artifacts"
	"github.com/hearsight/hearsight/internal/tool"
	"github.com/hearsight/hearsight/spec"
	"github.com/hearsight/hearsight/stages/stage"
)

// Each runs a command once for each of many items:
//
//	small:
//	  kind: exec_each
//	  with:
//	    command: [convert, "{item}", -resize, 256x256, "{out}"]
//	    folder: photos
//	    suffix: .png
//
// The items are the files of a folder, or those of the artifact at in: the
// outputs of an exec stage, those of another exec_each, or the rows of a table:
// a photo or a clip as the file it is, a caption as JSON. Each has an id: the
// file's name below the folder, or the row's id.
//
// The command runs as that of exec does, in a folder of its own. {item} is the
// item's file and {out} the one file it leaves, whose name is that of the item
// and suffix; the variable ITEM holds its id. It sees nothing of other items.
// So an item is done again only if its own bytes, the command or its files
// change, and the command may be run for many items at once.
//
// An item whose command fails, or leaves nothing, is set aside with the last
// lines that it printed.
var Each = stage.NewItems(stage.Kind{
	Name:    "exec_each",
	Doc:     "run a command once for each file of a folder or row of a table",
	Version: 1,
	Inputs:  []stage.Input{{Name: "in", Doc: "what the items are of, unless folder names them", Optional: true}},
	Output:  "files",
}, EachParams{Command: []string{}, Env: map[string]string{}, PassEnv: handedThrough(), Timeout: "10m"}, stage.Items[EachParams, File]{
	List:  listEach,
	Open:  openEach,
	Table: func(p EachParams) stage.Table[File] { return Files(p.Suffix) },
})

// EachParams are the parameters of Each.
type EachParams struct {
	Command []string          `json:"command" doc:"the program and its arguments, with {item} and {out}; no shell looks at them" required:"true"`
	Folder  string            `json:"folder" doc:"the folder whose files are the items" path:"items"`
	Suffix  string            `json:"suffix" doc:"what is put behind an item's name to name its result, such as .png"`
	Stdout  bool              `json:"stdout" doc:"the result is what the command prints, not the file {out}"`
	Files   string            `json:"files" doc:"a file or folder of the command's own, as {files}" path:"any"`
	Env     map[string]string `json:"env" doc:"environment variables for the command; PATH among them is also where the program is looked for"`
	PassEnv []string          `json:"pass_env" doc:"names of our variables that it sees too; they must not change its result" free:"true"`
	Timeout string            `json:"timeout" doc:"the longest it may run for one item" type:"duration" free:"true"`
}

// common are the parameters that Each shares with Kind.
func (p EachParams) common() Params {
	return Params{Command: p.Command, Outputs: []string{"out"}, Files: p.Files, Env: p.Env, PassEnv: p.PassEnv, Timeout: p.Timeout}
}

// Check implements stage.Checker.
func (p EachParams) Check() []spec.ParamProblem {
	out := p.common().Check()
	if !p.Stdout && !strings.Contains(strings.Join(p.Command, " "), "{out}") {
		out = append(out, spec.ParamProblem{Param: "command", Message: "leaves nothing: it needs {out}, or stdout: true"})
	}
	if err := checkName("x" + p.Suffix); err != nil || strings.Contains(p.Suffix, "/") {
		out = append(out, spec.ParamProblem{Param: "suffix", Message: fmt.Sprintf("%q cannot end the name of a file", p.Suffix)})
	}
	return out
}

// Prepare implements stage.Preparer.
func (p EachParams) Prepare(ctx context.Context) ([]stage.Tool, error) {
	return prepareProgram(ctx, p.Command[0], searchPath(p.Env))
}

func listEach(_ context.Context, t *stage.Task, p EachParams) ([]stage.Item, error) {
	in, folder := t.Input("in"), t.Input("folder")
	switch {
	case p.Folder != "" && in != nil:
		return nil, errors.New("the items are those of the folder or of the input: name one of them")
	case p.Folder != "" && folder == nil:
		return nil, fmt.Errorf("%s is not a folder", p.Folder)
	case folder != nil:
		return fileItems(folder.Manifest.Parts), nil
	case in != nil:
		return artifactItems(in)
	}
	return nil, errors.New("there are no items: name a folder of files with the parameter folder, or a stage at in")
}

// fileItems makes an item of each file.
func fileItems(parts []artifacts.Part) []stage.Item {
	items, keys := make([]stage.Item, len(parts)), make([]string, len(parts))
	for i := range parts {
		p := &parts[i]
		keys[i] = "file " + p.Digest.String()
		items[i] = stage.Item{ID: p.Name, Key: keys[i : i+1 : i+1], Ref: p}
	}
	return items
}

// A doer does the items of one run.
type doer struct {
	t       *stage.Task
	p       EachParams
	timeout time.Duration
	dir     string // folders of items lie here
	source  source
	logging sync.Mutex
	log     logFile
}

func openEach(_ context.Context, t *stage.Task, p EachParams) (stage.Do[File], func() error, error) {
	d := &doer{t: t, p: p, dir: t.Dir, log: logFile{dir: t.RunDir, name: stderrLog, left: maxEachLog}}
	var err error
	if d.timeout, err = time.ParseDuration(p.Timeout); err != nil {
		return nil, nil, err
	}
	if p.Folder != "" {
		d.source = folderSource(t.Paths["folder"])
	} else if d.source, err = openArtifact(t.Input("in")); err != nil {
		return nil, nil, err
	}
	if t.Paths["files"] != "" {
		if t.Paths["files"], err = filepath.Abs(t.Paths["files"]); err != nil {
			return nil, nil, errors.Join(err, d.source.close())
		}
	}
	return d.do, d.close, nil
}

func (d *doer) close() error {
	d.log.close(d.t)
	return d.source.close()
}

// maxResult is how large one item's result may be: it is held in memory.
const maxResult = 256 << 20

func (d *doer) do(ctx context.Context, it stage.Item) (f File, err error) {
	if err := checkName(it.ID + d.p.Suffix); err != nil {
		return f, stage.Reject("its id, %v", err)
	}
	dir, err := os.MkdirTemp(d.dir, "item-")
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	for _, name := range []string{"in", "out"} {
		if err := os.Mkdir(filepath.Join(dir, name), 0o755); err != nil {
			return f, err
		}
	}
	if own := d.t.Paths["files"]; own != "" {
		if err := os.Symlink(own, filepath.Join(dir, "files")); err != nil {
			return f, err
		}
	}
	name, err := d.source.lay(it, filepath.Join(dir, "in"))
	if err != nil {
		return f, err
	}
	out := path.Join("out", name+d.p.Suffix)
	if err := d.run(ctx, it.ID, dir, path.Join("in", name), out); err != nil {
		return f, err
	}
	data, err := result(dir, out)
	return File{ID: it.ID, Data: data}, err
}

// run runs the command in dir. That it fails is the item's fault.
func (d *doer) run(ctx context.Context, id, dir, item, out string) error {
	args := make([]string, len(d.p.Command))
	paths := strings.NewReplacer("{item}", item, "{out}", out, "{files}", "files")
	for i, a := range d.p.Command {
		args[i] = paths.Replace(a)
	}
	var printed capped
	defer d.logItem(id, &printed)
	cmd := tool.Cmd{Path: args[0], Args: args[1:], Dir: dir, Env: append(environment(dir, d.p.common()), "ITEM="+id),
		Stdout: &printed, Stderr: &printed, MaxOutputBytes: maxPrinted, MaxFileBytes: maxResult, Timeout: d.timeout}
	into := ""
	if d.p.Stdout {
		into = strings.TrimPrefix(out, "out/")
		cmd.MaxOutputBytes = maxResult
	}
	err := runInto(ctx, cmd, dir, into, searchPath(d.p.Env))
	if _, ok := errors.AsType[*tool.ExitError](err); ok {
		return stage.Reject("%v", err)
	}
	if _, ok := errors.AsType[*tool.LimitError](err); ok {
		return stage.Reject("%v", err)
	}
	return err
}

// result returns what the command left at out, and nothing else: that would be
// lost without a word.
func result(dir, out string) ([]byte, error) {
	found, err := files(filepath.Join(dir, "out"))
	if err != nil {
		return nil, fmt.Errorf("look at the output: %w", err)
	}
	name := strings.TrimPrefix(out, "out/")
	mode, ok := found[name]
	delete(found, name)
	switch {
	case !ok:
		return nil, stage.Reject("the command left no {out}")
	case !mode.IsRegular():
		return nil, stage.Reject("the command left a {out} that is not a regular file: %v", mode)
	case len(found) > 0:
		return nil, stage.Reject("the command left %q beside {out}", slices.Sorted(maps.Keys(found))[0])
	}
	root, err := os.OpenRoot(filepath.Join(dir, "out"))
	if err != nil {
		return nil, err
	}
	defer root.Close() // only read
	info, err := root.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxResult {
		return nil, stage.Reject("its result of %d bytes is too large", info.Size())
	}
	return root.ReadFile(name)
}

// A source lays out the files of items.
type source interface {
	// lay writes the file of an item into dir and returns its name there.
	lay(it stage.Item, dir string) (string, error)
	close() error
}

// folderSource is a folder outside the store.
type folderSource string

func (folderSource) close() error { return nil }

// lay copies the file. What it copies is what the item's key speaks of, or else
// the folder changed under us.
func (s folderSource) lay(it stage.Item, dir string) (_ string, err error) {
	p, ok := it.Ref.(*artifacts.Part)
	if !ok {
		return "", fmt.Errorf("%q is no file of a folder", it.ID)
	}
	from := filepath.Join(string(s), filepath.FromSlash(p.Name))
	f, err := os.Open(from)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	name := path.Base(p.Name)
	if err := writeNew(filepath.Join(dir, name), io.TeeReader(f, h)); err != nil {
		return "", err
	}
	if artifacts.Digest(h.Sum(nil)) != p.Digest {
		return "", fmt.Errorf("%s changed while the stage was running; run again", from)
	}
	return name, nil
}

func writeNew(path string, r io.Reader) error {
	to, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o444)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, r)
	return errors.Join(err, to.Close())
}
