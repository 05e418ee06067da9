package pairs

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

const (
	// MaxTextBytes is the longest caption. Speech of 64 KiB of text lasts over
	// an hour.
	MaxTextBytes = 64 << 10
	// longTextBytes is from where a caption is suspect: the longest of
	// Flickr8k's 40,455 has 199 bytes.
	longTextBytes = 1000
)

// Normalise returns text as it is to be spoken: in Unicode's composed form
// (NFC), with every run of white space made one space, and nothing else
// changed. The warnings say what is odd about a text that is accepted. It
// refuses texts that are empty, over MaxTextBytes, not UTF-8, or that hold
// control characters other than tabs and line breaks.
func Normalise(text string) (spoken string, warnings []string, err error) {
	if err := checkText(text); err != nil {
		return "", nil, err
	}
	warn := func(format string, args ...any) { warnings = append(warnings, fmt.Sprintf(format, args...)) }
	// Files joined end to end leave several marks, with blanks between them.
	text, lead := strings.TrimLeftFunc(text, func(r rune) bool { return r == '\ufeff' || unicode.IsSpace(r) }), text
	if strings.ContainsRune(lead[:len(lead)-len(text)], '\ufeff') {
		warn("byte order mark left out")
	}
	if strings.ContainsAny(strings.TrimRight(text, "\r\n"), "\t\n\r") {
		warn("tabs or line breaks became spaces")
	}
	spoken = strings.Join(strings.Fields(norm.NFC.String(text)), " ")
	switch {
	case spoken == "":
		return "", nil, errors.New("caption is empty")
	case !strings.ContainsFunc(spoken, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsNumber(r) }):
		warn("caption holds no letter and no digit")
	}
	if len(spoken) > longTextBytes {
		warn("caption is %d bytes long", len(spoken))
	}
	return spoken, warnings, nil
}

func checkText(text string) error {
	if len(text) > MaxTextBytes {
		return fmt.Errorf("caption is %d bytes long, the limit is %d", len(text), MaxTextBytes)
	}
	for i, r := range text {
		if r == utf8.RuneError {
			if _, n := utf8.DecodeRuneInString(text[i:]); n <= 1 {
				return fmt.Errorf("caption is not UTF-8: byte %d is 0x%02x", i, text[i])
			}
		}
		if unicode.IsControl(r) && r != '\t' && r != '\n' && r != '\r' {
			return fmt.Errorf("caption holds the control character %U at byte %d", r, i)
		}
	}
	return nil
}
