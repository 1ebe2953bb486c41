package settings

import (
	"crypto/subtle"
	"fmt"
	"log/slog"
)

// Secret is a text that nobody may see by accident: whatever prints, logs or encodes it writes [secret]. It can't be
// compared with ==; use Equal. The zero value is no secret at all.
type Secret struct {
	_    [0]func() // no ==
	text string
}

const hidden = "[secret]"

// NewSecret returns text as a Secret.
func NewSecret(text string) Secret { return Secret{text: text} }

// Reveal returns the text itself, for the one who signs or encrypts with it.
func (s Secret) Reveal() string { return s.text }

// IsZero reports whether there is no secret.
func (s Secret) IsZero() bool { return s.text == "" }

// Equal compares in a time that tells nothing about where s and other differ.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.text), []byte(other.text)) == 1
}

// String returns [secret].
func (s Secret) String() string { return hidden }

// GoString returns [secret].
func (s Secret) GoString() string { return hidden }

// Format writes [secret] under every verb; without it %d would go round String to the text.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(hidden)) } // fmt's own buffer never fails

// MarshalText returns [secret], for JSON, YAML and the like.
func (s Secret) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// LogValue returns [secret].
func (s Secret) LogValue() slog.Value { return slog.StringValue(hidden) }
