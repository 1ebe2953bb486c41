package diagnose

import (
	"encoding/json"
	"strings"

	"github.com/fenhao-pay/fenhao/internal/phrase"
)

// part is one ingredient of a signed text, with what may have been signed in its place. variants[0] is what is at hand.
type part struct {
	name     string // of its check
	title    phrase.Text
	variants []variant
}

// frame is a way to put the parts together.
type frame struct {
	build func(parts []string) string
	edits []edit
}

// lines joins the parts as WeChat Pay has it: each ended by a line feed.
func lines(parts []string) string { return strings.Join(parts, "\n") + "\n" }

// searched is how a search ended.
type searched struct {
	text    string // that was signed
	edits   []edit // none where it is the text at hand
	found   bool
	manyKey bool // JSON keys could not be tried in every order
}

const (
	maxHashed = 400 << 20 // bytes hashed in one search: about a second
	maxOrders = 100_000   // orders of JSON keys tried
)

// search looks for the text that d is the digest of: the parts at hand, then one change, then several. body is the index
// of the body among parts; its changes come from bodies. Extra texts, of which there may be thousands, are tried last.
func search(d digest, parts []part, body int, frames []frame, extra func(try func(parts []string, e edit) bool) bool) searched {
	left := maxHashed
	fits := func(text string) bool {
		left -= len(text)
		return left > 0 && d.of([]byte(text))
	}
	here := parts[body].variants[0].text
	parts[body].variants = bodies(here, 1)
	texts := make([]string, len(parts))
	var result searched
	try := func(f frame, edits []edit) bool {
		text := f.build(texts)
		if !fits(text) {
			return false
		}
		result = searched{text: text, edits: append(edits[:len(edits):len(edits)], f.edits...), found: true}
		return true
	}
	// Up to three changes, the fewest first; no part is changed twice.
	var combine func(frames []frame, i, more int, edits []edit) bool
	combine = func(frames []frame, i, more int, edits []edit) bool {
		if i == len(parts) {
			for _, f := range frames {
				if len(f.edits) == more && try(f, edits) {
					return true
				}
			}
			return false
		}
		for _, v := range parts[i].variants {
			if len(v.edits) <= more {
				texts[i] = v.text
				if combine(frames, i+1, more-len(v.edits), append(edits[:len(edits):len(edits)], v.edits...)) {
					return true
				}
			}
		}
		return false
	}
	reset := func() {
		for i, p := range parts {
			texts[i] = p.variants[0].text
		}
	}
	plain := frames[0]
	for changes := range 3 {
		// A line feed less may be the body's or the last line's. Where the body explains it, it is the body's.
		if combine(frames[:1], 0, changes, nil) || combine(frames[1:], 0, changes, nil) {
			return result
		}
		if changes == 1 && extra != nil {
			reset()
			if extra(func(changed []string, e edit) bool {
				copy(texts, changed)
				return try(plain, []edit{e})
			}) {
				return result
			}
		}
	}
	reset()
	for _, v := range bodies(here, len(dimensions)) {
		texts[body] = v.text
		if try(plain, v.edits) {
			return result
		}
	}
	if combine(frames, 0, 3, nil) {
		return result
	}
	reset()
	tooMany := false
	for _, v := range deepest(here) {
		_, many := orders(lex(v.text), maxOrders, func(text string) bool {
			texts[body] = text
			return try(plain, append(v.edits[:len(v.edits):len(v.edits)], keyOrder))
		})
		if tooMany = tooMany || many; result.found {
			return result
		}
	}
	return searched{manyKey: tooMany}
}

// keyOrder is the change of the order of keys.
var keyOrder = func() edit {
	for _, d := range dimensions {
		if d.code == JSONKeyOrder {
			return d.edit
		}
	}
	panic("there is no such dimension")
}()

// deepest returns the texts whose keys are worth trying in every order: the body without white space, as it is and with
// the plainest strings, which are WeChat Pay's own.
func deepest(body string) []variant {
	text := strings.TrimSpace(strings.TrimPrefix(body, bom))
	if !json.Valid([]byte(text)) || !strings.HasPrefix(text, "{") {
		return nil
	}
	v := variant{text: body}
	compact := join(space(lex(text), "", "", ""))
	switch {
	case compact == body:
	case compact == text && strings.TrimPrefix(body, bom) != body:
		v = v.with(compact, edit{ByteOrderMark, "body", phrase.Say("正文开头多了 BOM（EF BB BF）",
			"the body begins with a byte order mark (EF BB BF) that was not signed")})
	default:
		for _, d := range dimensions {
			if d.code == JSONWhitespace {
				v = v.with(compact, d.edit)
			}
		}
	}
	all := []variant{v}
	for _, d := range dimensions {
		switch d.code {
		case JSONSlash, JSONUnicode, JSONHTML:
			if plain := join(d.ways[0](lex(v.text))); plain != v.text {
				v = v.with(plain, d.edit)
			}
		}
	}
	if len(v.edits) > len(all[0].edits) {
		all = append(all, v)
	}
	return all
}
