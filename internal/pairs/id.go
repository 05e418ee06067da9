package pairs

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// MaxIDBytes is the longest id: file systems allow names of 255 bytes.
const MaxIDBytes = 255

// devices are names that mean a device on Windows, with any extension.
var devices = map[string]bool{
	"con": true, "prn": true, "aux": true, "nul": true,
	"com1": true, "com2": true, "com3": true, "com4": true, "com5": true, "com6": true, "com7": true, "com8": true, "com9": true,
	"lpt1": true, "lpt2": true, "lpt3": true, "lpt4": true, "lpt5": true, "lpt6": true, "lpt7": true, "lpt8": true, "lpt9": true,
}

// CheckID says what is wrong with an id of a caption, photo or clip, or nil.
// Ids name items for good and are shown, exported and typed: what could be read
// as a path, an option or a device is refused, as is what cannot be seen.
func CheckID(id string) error {
	stem, _, _ := strings.Cut(id, ".")
	switch {
	case strings.TrimSpace(id) == "":
		return fmt.Errorf("id is empty")
	case len(id) > MaxIDBytes:
		return fmt.Errorf("id %.40q… is %d bytes long, the limit is %d", id, len(id), MaxIDBytes)
	case !utf8.ValidString(id):
		return fmt.Errorf("id %q is not UTF-8", id)
	case strings.ContainsAny(id, `/\:`):
		return fmt.Errorf("id %q holds a separator", id)
	case strings.Contains(id, "..") || id == ".":
		return fmt.Errorf("id %q holds dots that mean a folder", id)
	case strings.ContainsFunc(id, invisible):
		return fmt.Errorf("id %q holds a control character", id)
	case id[0] == '-':
		return fmt.Errorf("id %q begins with a dash", id)
	case strings.TrimSpace(id) != id || strings.HasSuffix(id, "."):
		return fmt.Errorf("id %q begins or ends with a space or ends with a dot", id)
	case devices[strings.ToLower(strings.TrimSpace(stem))]:
		return fmt.Errorf("id %q is the name of a device", id)
	}
	return nil
}

// invisible reports control and formatting characters, among them those that
// turn the direction of writing around.
func invisible(r rune) bool {
	return unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Zl, unicode.Zp)
}

// A Problems lists what is wrong with the rows of a data set, all at once.
type Problems []string

// maxShown is how many problems an error names; the rest are counted.
const maxShown = 60

// Add notes a problem.
func (p *Problems) Add(format string, args ...any) { *p = append(*p, fmt.Sprintf(format, args...)) }

// Err returns the problems as one error, or nil if there are none.
func (p Problems) Err() error {
	if len(p) == 0 {
		return nil
	}
	shown, more := p, ""
	if len(p) > maxShown {
		shown, more = p[:maxShown], fmt.Sprintf("\n  and %d more", len(p)-maxShown)
	}
	noun := "problems"
	if len(p) == 1 {
		noun = "problem"
	}
	return fmt.Errorf("%d %s:\n  %s%s", len(p), noun, strings.Join(shown, "\n  "), more)
}
