package settings

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"github.com/fenhao-pay/fenhao/internal/phrase"
	"github.com/fenhao-pay/fenhao/internal/spell"
)

// reader collects what file and environment say, by path ("merchants[0].apiv3_key"), and what is wrong with it.
type reader struct {
	file     string           // of the settings; "" for none
	dir      string           // where relative paths start
	given    map[string]given // the scalars
	counts   map[string]int   // of the entries of each list
	lines    map[string]int   // of each section and list entry in the file
	meant    map[string]bool  // the settings that a misspelt key was likely meant to be
	problems []Problem
	warnings []Problem
}

// given is one scalar as the operator wrote it.
type given struct {
	name   string // merchants[0].apiv3_key_file, or FENHAO_MERCHANTS_0_APIV3_KEY_FILE
	line   int    // in the file; 0 for a variable
	text   string // the value, or with inFile the path of the file that holds it
	inFile bool   // it was the _file form of a secret
}

func (r *reader) wrong(key string, line int, t phrase.Text) {
	r.problems = append(r.problems, problem(key, line, t))
}

func (r *reader) warn(key string, line int, t phrase.Text) {
	r.warnings = append(r.warnings, problem(key, line, t))
}

func problem(key string, line int, t phrase.Text) Problem {
	at := place(key, line)
	return Problem{Key: key, Line: line, Text: phrase.Say(at.ZH+t.ZH, at.EN+t.EN)}
}

// whole records a problem whose sentence names key and line by itself.
func (r *reader) whole(key string, line int, t phrase.Text) {
	r.problems = append(r.problems, Problem{Key: key, Line: line, Text: t})
}

// The table.

type kind int

const (
	scalar  kind = iota // a text
	path                // a text that names a file
	secret              // a text that has a _file form too
	section             // keys
	list                // entries, each with keys
)

// key is one row of the table: a field of Settings, WeChat, Merchant or App.
type key struct {
	name     string
	kind     kind
	fallback string // the default
	field    int
	of       reflect.Type // what a section or the entries of a list hold
}

// keysOf returns the rows of a struct, in the order of its fields.
func keysOf(t reflect.Type) []key {
	var keys []key
	for i := range t.NumField() {
		f := t.Field(i)
		tag, ok := f.Tag.Lookup("key")
		if !ok {
			continue
		}
		name, option, _ := strings.Cut(tag, ",")
		k := key{name: name, fallback: f.Tag.Get("default"), field: i, of: f.Type}
		switch {
		case f.Type == reflect.TypeFor[Secret]():
			k.kind = secret
		case f.Type.Kind() == reflect.Slice:
			k.kind, k.of = list, f.Type.Elem()
		case f.Type.Kind() == reflect.Struct:
			k.kind = section
		case option == "path":
			k.kind = path
		}
		keys = append(keys, k)
	}
	return keys
}

// find returns the row that name, as written in the file, is about, and whether it is the _file form of a secret.
func find(keys []key, name string) (k key, inFile, ok bool) {
	for _, k := range keys {
		if k.name == name {
			return k, false, true
		}
		if k.kind == secret && k.name+"_file" == name {
			return k, true, true
		}
	}
	return key{}, false, false
}

// names returns all that may be written for keys.
func names(keys []key) []string {
	var names []string
	for _, k := range keys {
		names = append(names, k.name)
		if k.kind == secret {
			names = append(names, k.name+"_file")
		}
	}
	return names
}

// home returns where name belongs in the table below prefix ("merchants[]"), when it is there at all.
func home(t reflect.Type, prefix, name string) (string, bool) {
	keys := keysOf(t)
	if _, _, ok := find(keys, name); ok {
		return prefix, true
	}
	for _, k := range keys {
		suffix := ""
		switch k.kind {
		case list:
			suffix = "[]"
		case section:
		default:
			continue
		}
		if at, ok := home(k.of, join(prefix, k.name+suffix), name); ok {
			return at, true
		}
	}
	return "", false
}

func join(prefix, name string) string {
	if prefix == "" {
		return name
	}
	return prefix + "." + name
}

// set takes one scalar in. A variable replaces what the file says; both forms of one secret from the same place are a
// contradiction.
func (r *reader) set(at string, g given) {
	if old, ok := r.given[at]; ok && old.inFile != g.inFile && (old.line == 0) == (g.line == 0) {
		r.wrong(g.name, g.line, phrase.Say("已经有 %[1]s 了，两者只留一个", "%[1]s is given too; keep one of the two", old.name))
		return
	}
	r.given[at] = g
}

// The file.

// readFile reads the file into r. It reports false when it could not be read as settings at all.
func (r *reader) readFile() bool {
	data, err := os.ReadFile(r.file)
	if errors.Is(err, fs.ErrNotExist) {
		r.wrong("", 0, phrase.Say("没有这个文件。生成一份：fenhao init --config %[1]s；只用环境变量：fenhao serve --config=",
			"there is no such file. Make one: fenhao init --config %[1]s; to use variables alone: fenhao serve --config=", r.file))
		return false
	}
	if err != nil {
		r.wrong("", 0, unreadable(r.file, err))
		return false
	}
	data = bytes.TrimPrefix(data, []byte("\ufeff")) // Windows editors begin UTF-8 with it
	if !utf8.Valid(data) {
		r.wrong("", 0, phrase.Say("不是 UTF-8 编码。用编辑器另存为 UTF-8", "not UTF-8. Save it as UTF-8 in your editor"))
		return false
	}
	tree, err := parser.ParseBytes(data, 0, parser.AllowDuplicateMapKey()) // duplicates are told below, in our words
	if err != nil {
		// The parser's own text quotes the lines around, secrets included: take its message alone.
		line, message := 0, "?"
		if e := (*yaml.SyntaxError)(nil); errors.As(err, &e) {
			message = strings.ReplaceAll(e.Message, "\t", `\t`)
			if e.Token != nil && e.Token.Position != nil {
				line = e.Token.Position.Line
			}
		}
		r.wrong("", line, phrase.Say("YAML 写法不对（%[1]s）。用空格缩进，不用 Tab；含有 : # @ 等符号的值要加引号",
			"not valid YAML (%[1]s). Indent with spaces, not tabs; quote values that contain : # @ and the like", message))
		return false
	}
	var bodies []ast.Node
	for _, doc := range tree.Docs {
		if doc.Body != nil && doc.Body.Type() != ast.NullType {
			bodies = append(bodies, doc.Body)
		}
	}
	if len(bodies) > 1 {
		r.wrong("", line(bodies[1]), phrase.Say("一个文件只能有一份设置，删去 --- 分隔线",
			"one file holds one set of settings; remove the --- line"))
		return false
	}
	if len(bodies) == 1 {
		r.readSection(bodies[0], reflect.TypeFor[Settings](), "")
	}
	r.warnOfMode(r.file, "", 0)
	return true
}

// warnOfMode warns where others than the owner may read a file with secrets.
func (r *reader) warnOfMode(file, name string, line int) {
	info, err := os.Stat(file)
	if err != nil || runtime.GOOS == "windows" || info.Mode().Perm()&0o077 == 0 {
		return // Windows has no such bits, and an unreadable file has been told already
	}
	r.warn(name, line, phrase.Say("%[1]s 的权限是 %04[2]o，其他用户可能读到密钥。执行：chmod 600 %[1]s",
		"%[1]s has mode %04[2]o, so others may read its secrets. Run: chmod 600 %[1]s", file, info.Mode().Perm()))
}

func line(n ast.Node) int {
	if t := n.GetToken(); t != nil && t.Position != nil {
		return t.Position.Line
	}
	return 0
}

// readSection reads the keys of a section, a list entry or the whole file.
func (r *reader) readSection(n ast.Node, t reflect.Type, at string) {
	keys := keysOf(t)
	mapping, ok := n.(ast.MapNode)
	if !ok {
		if n.Type() == ast.NullType { // a section all of whose lines are comments
			return
		}
		r.wrong(at, line(n), phrase.Say("这里要写下级设置，每行一个“名称: 值”。可用的名称：%[1]s",
			"settings belong here, one \"name: value\" a line. The names: %[1]s", strings.Join(names(keys), ", ")))
		return
	}
	seen := map[string]int{}
	for entries := mapping.MapRange(); entries.Next(); {
		token := entries.Key().GetToken()
		name, nr := token.Value, token.Position.Line
		full := join(at, name)
		if _, plain := entries.Key().(*ast.StringNode); !plain {
			r.wrong(full, nr, phrase.Say("名称要直接写出来，不能用 YAML 的 ?、<< 或别名",
				"write the name itself, without YAML's ?, << or aliases"))
			continue
		}
		k, inFile, ok := find(keys, name)
		if !ok {
			r.unknownKey(keys, name, at, nr)
			continue
		}
		if first, again := seen[name]; again {
			r.whole(full, nr, phrase.Say("设置 %[1]q 写了两次（第 %[2]d 行和第 %[3]d 行），删去其中一个",
				"%[1]q is set twice (lines %[2]d and %[3]d); remove one", full, first, nr))
			continue
		}
		seen[name] = nr
		r.readValue(entries.Value(), k, inFile, join(at, k.name), full, nr)
	}
}

// unknownKey tells that name means nothing in the section at path at.
func (r *reader) unknownKey(keys []key, name, at string, nr int) {
	full := join(at, name)
	if where, ok := home(reflect.TypeFor[Settings](), "", name); ok {
		zh, en := " "+where+" 之下", "under "+where
		if where == "" {
			zh, en = "最外层", "at the top level"
		}
		r.whole(full, nr, phrase.Say(
			fmt.Sprintf("设置 %q（第 %d 行）的位置不对，应写在%s", name, nr, zh),
			fmt.Sprintf("setting %q (line %d) is in the wrong place: it belongs %s", name, nr, en),
		))
		return
	}
	if near := spell.Nearest(name, names(keys)); near != "" {
		k, _, _ := find(keys, near)
		r.meant[join(at, k.name)] = true
		r.whole(full, nr, phrase.Say("未知设置 %[1]q（第 %[2]d 行），你是想写 %[3]q 吗？",
			"unknown setting %[1]q (line %[2]d). Did you mean %[3]q?", name, nr, near))
		return
	}
	r.whole(full, nr, phrase.Say("未知设置 %[1]q（第 %[2]d 行）。这里可用：%[3]s",
		"unknown setting %[1]q (line %[2]d). Here there are: %[3]s",
		name, nr, strings.Join(names(keys), ", ")))
}

// readValue reads the value of one key, called full in the file at line nr.
func (r *reader) readValue(n ast.Node, k key, inFile bool, at, full string, nr int) {
	switch n.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.TagNode:
		r.wrong(full, nr, phrase.Say("值要直接写出来，不能用 YAML 的 &、* 或 !", "write the value itself, without YAML's &, * or !"))
		return
	}
	switch k.kind {
	case section:
		r.lines[at] = nr
		r.readSection(n, k.of, at)
		return
	case list:
		r.lines[at] = nr
		r.readList(n, k, at, full, nr)
		return
	}
	switch n := n.(type) {
	case *ast.NullNode:
		r.set(at, given{name: full, line: nr, inFile: inFile})
		r.wrong(full, nr, phrase.Say("没有值。填上，或者删去这一行", "no value. Fill it in, or remove the line"))
	case *ast.StringNode:
		r.set(at, given{name: full, line: nr, text: n.Value, inFile: inFile})
	case *ast.LiteralNode:
		r.set(at, given{name: full, line: nr, text: n.Value.Value, inFile: inFile})
	case *ast.IntegerNode, *ast.FloatNode: // a merchant number without quotes; the token keeps its very digits
		r.set(at, given{name: full, line: nr, text: n.GetToken().Value, inFile: inFile})
	default:
		r.set(at, given{name: full, line: nr, inFile: inFile})
		r.wrong(full, nr, phrase.Say("这里要写一个文本值，写在引号里", "a text belongs here; put it in quotes"))
	}
}

func (r *reader) readList(n ast.Node, k key, at, full string, nr int) {
	if n.Type() == ast.NullType {
		return
	}
	sequence, ok := n.(*ast.SequenceNode)
	if !ok {
		r.wrong(full, nr, phrase.Say("这里要写列表：每一项另起一行，以“- ”开头",
			"a list belongs here: each entry on its own line, beginning with \"- \""))
		return
	}
	for i, entry := range sequence.Values {
		entryAt := fmt.Sprintf("%s[%d]", at, i)
		r.counts[at] = i + 1
		r.lines[entryAt] = line(entry)
		r.readSection(entry, k.of, entryAt)
	}
}

// The environment.

// Kubernetes tells each container about every Service of its namespace, under the Service's name. One called fenhao or
// fenhao-… makes these, which are no settings. FENHAO_PORT alone might be somebody's guess at a setting.
var (
	serviceLink = regexp.MustCompile(`^FENHAO_([A-Z0-9_]+_)?(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)
	servicePort = regexp.MustCompile(`^FENHAO_([A-Z0-9_]+_)?PORT$`)
)

// otherVariables are those that begin with FENHAO_ and are read elsewhere.
var otherVariables = []string{"FENHAO_LANG"}

const prefix = "FENHAO_"

// readEnvironment lays the variables over what the file says.
func (r *reader) readEnvironment(environ []string) {
	values := map[string]string{}
	for _, entry := range environ { // as os.Getenv, the last one wins
		name, value, _ := strings.Cut(entry, "=")
		link := serviceLink.MatchString(name) || servicePort.MatchString(name) && strings.Contains(value, "://")
		if strings.HasPrefix(name, prefix) && value != "" && !slices.Contains(otherVariables, name) && !link {
			values[name] = value
		}
	}
	variables := make([]string, 0, len(values))
	for name := range values {
		variables = append(variables, name)
	}
	slices.SortFunc(variables, func(a, b string) int { return cmp.Compare(padded(a), padded(b)) })
	for _, name := range variables {
		r.readVariable(name, values[name])
	}
}

var digits = regexp.MustCompile(`[0-9]+`)

// padded makes …_2_… sort before …_10_…, so that a list's entries come in order.
func padded(name string) string {
	return digits.ReplaceAllStringFunc(name, func(n string) string { return fmt.Sprintf("%010s", n) })
}

// readVariable takes one variable in.
func (r *reader) readVariable(name, value string) {
	at, inFile, gap, ok := r.pathOf(strings.TrimPrefix(name, prefix), reflect.TypeFor[Settings](), "")
	switch {
	case gap != "":
		r.wrong(name, 0, phrase.Say("前面缺少 %[1]s：各项从 0 开始连续编号",
			"%[1]s is missing before it: entries are counted from 0 without gaps", gap))
	case ok:
		r.set(at, given{name: name, text: value, inFile: inFile})
	default:
		r.unknownVariable(name)
	}
}

// pathOf returns the path of the setting whose variable ends in rest, below at. An entry one past the end of its list
// is a new one; further on there is a gap, and gap is the path of the first entry missing.
func (r *reader) pathOf(rest string, t reflect.Type, at string) (_ string, inFile bool, gap string, ok bool) {
	for _, k := range keysOf(t) {
		name, here := strings.ToUpper(k.name), join(at, k.name)
		switch k.kind {
		case section:
			if below, found := strings.CutPrefix(rest, name+"_"); found {
				return r.pathOf(below, k.of, here)
			}
		case list:
			below, found := strings.CutPrefix(rest, name+"_")
			number, below, more := strings.Cut(below, "_")
			i, err := strconv.Atoi(number)
			if !found || !more || err != nil || strconv.Itoa(i) != number || i < 0 {
				continue
			}
			count := r.counts[here]
			if i > count {
				return "", false, fmt.Sprintf("%s[%d]", here, count), false
			}
			path, inFile, gap, ok := r.pathOf(below, k.of, fmt.Sprintf("%s[%d]", here, i))
			if ok && i == count {
				r.counts[here]++
			}
			return path, inFile, gap, ok
		case secret:
			if rest == name || rest == name+"_FILE" {
				return here, rest != name, "", true
			}
		default:
			if rest == name {
				return here, false, "", true
			}
		}
	}
	return "", false, "", false
}

func (r *reader) unknownVariable(name string) {
	numbers := digits.FindAllString(name, -1)
	var known []string
	for _, candidate := range variableNames(reflect.TypeFor[Settings](), prefix) {
		for _, number := range numbers {
			candidate = strings.Replace(candidate, "#", number, 1)
		}
		known = append(known, strings.ReplaceAll(candidate, "#", "0"))
	}
	if near := spell.Nearest(name, known); near != "" {
		r.whole(name, 0, phrase.Say("未知环境变量 %[1]s，你是想写 %[2]s 吗？",
			"unknown variable %[1]s. Did you mean %[2]s?", name, near))
		return
	}
	r.whole(name, 0, phrase.Say("未知环境变量 %[1]s。以 FENHAO_ 开头的变量都必须是设置；写错了就改正，不用就删去",
		"unknown variable %[1]s. What begins with FENHAO_ must be a setting; correct it, or unset it", name))
}

// variableNames returns the names of all variables below begin, with # for the number of a list's entry.
func variableNames(t reflect.Type, begin string) []string {
	var all []string
	for _, k := range keysOf(t) {
		name := begin + strings.ToUpper(k.name)
		switch k.kind {
		case section:
			all = append(all, variableNames(k.of, name+"_")...)
		case list:
			all = append(all, variableNames(k.of, name+"_#_")...)
		case secret:
			all = append(all, name, name+"_FILE")
		default:
			all = append(all, name)
		}
	}
	return all
}

// The values.

// fill sets the fields of s from what was given, else from their defaults, and reads the files that hold secrets.
func (r *reader) fill(s *Settings) { r.fillSection(reflect.ValueOf(s).Elem(), "") }

func (r *reader) fillSection(v reflect.Value, at string) {
	for _, k := range keysOf(v.Type()) {
		field, here := v.Field(k.field), join(at, k.name)
		switch k.kind {
		case section:
			r.fillSection(field, here)
		case list:
			field.Set(reflect.MakeSlice(field.Type(), r.counts[here], r.counts[here]))
			for i := range field.Len() {
				r.fillSection(field.Index(i), fmt.Sprintf("%s[%d]", here, i))
			}
		case secret:
			field.Set(reflect.ValueOf(NewSecret(r.secretText(r.given[here]))))
		case path:
			field.SetString(r.absolute(r.given[here].text))
		default:
			field.SetString(cmp.Or(r.given[here].text, k.fallback))
		}
	}
}

// secretText returns the secret that g gives, from its file where it names one. The line end that editors add to a file
// is no part of the secret.
func (r *reader) secretText(g given) string {
	if !g.inFile || g.text == "" {
		return g.text
	}
	file := r.absolute(g.text)
	data, err := os.ReadFile(file)
	if err != nil {
		r.wrong(g.name, g.line, unreadable(file, err))
		return ""
	}
	r.warnOfMode(file, g.name, g.line)
	text := strings.TrimRight(string(data), "\r\n")
	if text == "" {
		r.wrong(g.name, g.line, phrase.Say("文件 %[1]s 是空的", "the file %[1]s is empty", file))
	}
	return text
}

// unreadable says why file could not be read, and what to do.
func unreadable(file string, err error) phrase.Text {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return phrase.Say("没有文件 %[1]s。检查路径；相对路径从配置文件所在目录算起",
			"there is no file %[1]s. Check the path; relative ones start at the folder of the configuration file", file)
	case errors.Is(err, fs.ErrPermission):
		return phrase.Say("没有权限读取 %[1]s。让运行 fenhao 的用户成为它的所有者：chown",
			"no permission to read %[1]s. Make the user who runs fenhao its owner: chown", file)
	}
	cause := err
	if e := (*fs.PathError)(nil); errors.As(err, &e) {
		cause = e.Err
	}
	return phrase.Say("读不出 %[1]s（%[2]v）。它必须是一个普通文件",
		"can't read %[1]s (%[2]v). It has to be a regular file", file, cause)
}
