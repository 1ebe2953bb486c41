package bill

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/fenhao-pay/fenhao/money"
)

var (
	// ErrFormat is matched by the error of what is not a bill of this kind, or has a value that can't be read.
	ErrFormat = errors.New("the bill can't be read")

	// ErrTruncated is matched by the error of a bill that ends before its totals.
	ErrTruncated = errors.New("the bill is cut off")

	// ErrTotals is matched by the error of a bill whose totals are not those of its rows.
	ErrTotals = errors.New("the totals are not those of the rows")

	// ErrTooLarge is matched by the error of a bill that exceeds a limit.
	ErrTooLarge = errors.New("the bill is too large")
)

// Error says what is wrong with a bill and where. It matches [ErrFormat], [ErrTruncated], [ErrTotals], [ErrTooLarge] or
// the error of the reader that the bill came from.
type Error struct {
	Line   int    // counted from 1
	Column string // as in the header, or "" for the line as a whole
	Err    error
}

// Error names the line, the column and the problem. It quotes numbers and times, never names or notes.
func (e *Error) Error() string {
	if e.Column == "" {
		return fmt.Sprintf("bill, line %d: %v", e.Line, e.Err)
	}
	return fmt.Sprintf("bill, line %d, column %s: %v", e.Line, e.Column, e.Err)
}

// Unwrap returns the problem.
func (e *Error) Unwrap() error { return e.Err }

// Options are limits. The zero value has none but that of a line, 64 KiB.
type Options struct {
	MaxRows int // an error at the row after it; 0 means no limit
}

// maxLine is the longest line that is read. The longest that WeChat Pay's limits allow has some 2 KiB.
const maxLine = 64 << 10

// Reader reads one bill, with rows of type Row and totals of type Summary. It is made by [Trades] or [FundFlow] and is
// for one goroutine.
type Reader[Row, Summary any] struct {
	format  *format[Row, Summary]
	options Options
	in      *bufio.Reader
	line    int // the number of the line that was read last
	crlf    bool

	columns []column[Row] // in the order of the header, after it was read
	rows    int
	sum     Summary // of the rows
	stated  Summary // by the last line
	done    bool
	err     error
}

// Rows goes over the rows in the order of the bill, which is not that of time. An error comes with a zero row and is the
// last step: the bill as a whole must then not be believed. After the loop was left early, Rows goes on with the next
// row; after the end it yields nothing, or the same error again.
func (r *Reader[Row, Summary]) Rows() iter.Seq2[Row, error] {
	return func(yield func(Row, error) bool) {
		for !r.done && r.err == nil {
			row, ok, err := r.next()
			if err != nil {
				r.err = err
				break
			}
			if !ok {
				r.done = true
				return
			}
			if !yield(row, nil) {
				return
			}
		}
		if r.err != nil {
			var zero Row
			yield(zero, r.err)
		}
	}
}

// Summary returns the totals that end the bill. They are zero until Rows has ended without an error.
func (r *Reader[Row, Summary]) Summary() Summary {
	if !r.done {
		var zero Summary
		return zero
	}
	return r.stated
}

// format is what distinguishes one kind of bill from another.
type format[Row, Summary any] struct {
	name    string
	columns []column[Row]
	totals  []total[Summary]
	frame   func(r *Row, line int) (other *map[string]string)
	other   func(s *Summary) *map[string]string
	add     func(s *Summary, r *Row) error // errors are of arithmetic
}

// column is one column of the rows, under all names that it has had.
type column[Row any] struct {
	names    []string
	required bool
	quotable bool // a number or a time, which may stand in an error
	set      func(r *Row, value string) error
}

// total is one column of the summary: a number of units of which 10^places make one.
type total[Summary any] struct {
	names    []string
	required bool
	places   int
	set      func(s *Summary, n int64)
	get      func(s *Summary) int64
}

func newReader[Row, Summary any](f *format[Row, Summary], in io.Reader, o Options) *Reader[Row, Summary] {
	return &Reader[Row, Summary]{format: f, options: o, in: bufio.NewReaderSize(in, 32<<10)}
}

func (r *Reader[Row, Summary]) fail(column string, kind error, about string, args ...any) error {
	return &Error{r.line, column, fmt.Errorf("%w: "+about, append([]any{kind}, args...)...)}
}

// next reads a row, or the totals and the end.
func (r *Reader[Row, Summary]) next() (row Row, ok bool, err error) {
	if r.columns == nil {
		if err := r.header(); err != nil {
			return row, false, err
		}
	}
	text, err := r.readLine()
	switch {
	case err == io.EOF:
		r.line++
		return row, false, r.fail("", ErrTruncated, "it ends without its totals")
	case err != nil:
		return row, false, err
	case !strings.HasPrefix(text, "`"):
		return row, false, r.summary(text)
	}
	if r.options.MaxRows > 0 && r.rows >= r.options.MaxRows {
		return row, false, r.fail("", ErrTooLarge, "it has more than %d rows", r.options.MaxRows)
	}
	r.rows++
	values, err := r.split(text, len(r.columns))
	if err != nil {
		return row, false, err
	}
	other := r.format.frame(&row, r.line)
	for i, c := range r.columns {
		if c.set == nil {
			if *other == nil {
				*other = map[string]string{}
			}
			(*other)[c.names[0]] = values[i]
			continue
		}
		if err := c.set(&row, values[i]); err != nil {
			if c.quotable {
				return row, false, r.fail(c.names[0], ErrFormat, "%q: %v", clip(values[i]), err)
			}
			return row, false, r.fail(c.names[0], ErrFormat, "%v", err)
		}
	}
	if err := r.format.add(&r.sum, &row); err != nil {
		return row, false, r.fail("", ErrFormat, "the sum up to here: %v", err)
	}
	return row, true, nil
}

// header reads the first line and finds the column of each name.
func (r *Reader[Row, Summary]) header() error {
	first, _ := r.in.Peek(3) // readLine returns the error
	if why := foreign(string(bytes.TrimPrefix(first, []byte("\ufeff")))); why != "" {
		r.line = 1
		return r.fail("", ErrFormat, "this is no %s: %s", r.format.name, why)
	}
	text, err := r.readLine()
	if err == io.EOF {
		r.line = 1
		return r.fail("", ErrTruncated, "it is empty")
	}
	if err != nil {
		return err
	}
	text = strings.TrimPrefix(text, "\ufeff")
	if !utf8.ValidString(text) {
		return r.fail("", ErrFormat, "this is no %s: the header is not UTF-8", r.format.name)
	}
	names := strings.Split(text, ",")
	columns := make([]column[Row], 0, len(names))
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			return r.fail(clip(name), ErrFormat, "the header names it twice")
		}
		c := column[Row]{names: []string{name}}
		for _, known := range r.format.columns {
			if slices.Contains(known.names, name) {
				c.required, c.quotable, c.set = known.required, known.quotable, known.set
			}
		}
		columns = append(columns, c)
	}
	for _, known := range r.format.columns {
		switch n := count(names, known.names); {
		case n == 0 && known.required:
			return r.fail("", ErrFormat, "this is no %s: the header has no column %s", r.format.name, known.names[0])
		case n > 1:
			return r.fail(known.names[0], ErrFormat, "the header has it under two names")
		}
	}
	r.columns = columns
	return nil
}

func count(names, known []string) (n int) {
	for _, k := range known {
		if slices.Contains(names, k) {
			n++
		}
	}
	return n
}

// foreign says what begins with first instead of a header, or "".
func foreign(first string) string {
	switch {
	case strings.HasPrefix(first, "\x1f\x8b"):
		return "it is compressed with gzip; decompress it first"
	case strings.HasPrefix(first, "<"):
		return "it is XML, perhaps the answer of an error"
	case strings.HasPrefix(first, "{"):
		return "it is JSON, perhaps the answer of an error"
	case strings.HasPrefix(first, "`"):
		return "it begins with a row instead of a header"
	}
	return ""
}

// summary reads the two lines of totals, of which names is the first, and compares them with the rows.
func (r *Reader[Row, Summary]) summary(header string) error {
	names := strings.Split(header, ",")
	for _, t := range r.format.totals {
		switch n := count(names, t.names); {
		case n == 0 && t.required:
			return r.fail("", ErrFormat, "it is neither a row, which begins with a backtick, nor the totals, which have a column %s", t.names[0])
		case n > 1:
			return r.fail(t.names[0], ErrFormat, "the totals have it under two names")
		}
	}
	for i, name := range names {
		if slices.Contains(names[:i], name) {
			return r.fail(clip(name), ErrFormat, "the totals name it twice")
		}
	}
	text, err := r.readLine()
	if err == io.EOF {
		r.line++
		return r.fail("", ErrTruncated, "it ends before its totals")
	}
	if err != nil {
		return err
	}
	if !strings.HasPrefix(text, "`") {
		return r.fail("", ErrFormat, "the totals don't begin with a backtick")
	}
	values, err := r.split(text, len(names))
	if err != nil {
		return err
	}
	for i, name := range names {
		j := slices.IndexFunc(r.format.totals, func(t total[Summary]) bool { return slices.Contains(t.names, name) })
		if j < 0 {
			other := r.format.other(&r.stated)
			if *other == nil {
				*other = map[string]string{}
			}
			(*other)[name] = values[i]
			continue
		}
		t := r.format.totals[j]
		n, err := parseDecimal(values[i], t.places)
		if err != nil {
			return r.fail(name, ErrFormat, "%q: %v", clip(values[i]), err)
		}
		t.set(&r.stated, n)
		if rows := t.get(&r.sum); n != rows {
			return r.fail(name, ErrTotals, "it says %s, the rows make %s", values[i], formatTotal(rows, t.places))
		}
	}
	for {
		switch text, err := r.readLine(); {
		case err == io.EOF:
			return nil
		case err != nil:
			return err
		case text != "":
			return r.fail("", ErrFormat, "something follows the totals")
		}
	}
}

func formatTotal(n int64, places int) string {
	if places == 0 {
		return fmt.Sprint(n)
	}
	return formatDecimal(n, places)
}

// split takes a line of values apart. They have no quotes: each begins with a backtick, and a comma that no backtick
// follows is part of a value.
func (r *Reader[Row, Summary]) split(text string, want int) ([]string, error) {
	values := strings.Split(text[1:], ",`")
	if len(values) != want {
		return nil, r.fail("", ErrFormat, "it has %d values, the header has %d columns", len(values), want)
	}
	for i, v := range values {
		values[i] = strings.ToValidUTF8(v, "\ufffd") // names may be cut in the middle of a character
	}
	return values, nil
}

// readLine returns the next line without its end, or io.EOF. Lines end with CR LF where the header does, and a bare LF
// is then part of a value; else with LF. The last one may lack its end.
func (r *Reader[Row, Summary]) readLine() (string, error) {
	var line []byte
	r.line++
	extra := 0 // line feeds inside values
	for {
		piece, err := r.in.ReadSlice('\n')
		line = append(line, piece...)
		if len(line) > maxLine {
			return "", r.fail("", ErrTooLarge, "the line is longer than %d bytes", maxLine)
		}
		switch {
		case err == bufio.ErrBufferFull:
			continue
		case err == io.EOF && len(line) == 0:
			r.line--
			return "", io.EOF
		case err == io.EOF:
			r.line += extra
			return string(line), nil
		case err != nil:
			return "", &Error{r.line, "", err}
		case r.line == 1:
			r.crlf = bytes.HasSuffix(line, []byte("\r\n"))
		case r.crlf && !bytes.HasSuffix(line, []byte("\r\n")):
			extra++
			continue
		}
		r.line += extra
		line = line[:len(line)-1]
		if r.crlf {
			line = line[:len(line)-1]
		}
		return string(line), nil
	}
}

// clip bounds what an error quotes.
func clip(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "") + "…"
	}
	return s
}

// beijing is the time zone of all bills.
var beijing = time.FixedZone("UTC+8", 8*60*60)

// The kinds of values. Each makes the setter of a column from the place where its value goes.

func textColumn[Row any](field func(*Row) *string) func(*Row, string) error {
	return func(r *Row, v string) error { *field(r) = v; return nil }
}

// idColumn is a number of something that may not be there, for which bills print 0.
func idColumn[Row any](field func(*Row) *string) func(*Row, string) error {
	return func(r *Row, v string) error {
		if v != "0" {
			*field(r) = v
		}
		return nil
	}
}

func fenColumn[Row any](field func(*Row) *money.Fen) func(*Row, string) error {
	return func(r *Row, v string) error {
		n, err := parseDecimal(v, 2)
		*field(r) = money.Fen(n)
		return err
	}
}

func feeColumn[Row any](field func(*Row) *Fee) func(*Row, string) error {
	return func(r *Row, v string) error {
		n, err := parseDecimal(v, 5)
		*field(r) = Fee(n)
		return err
	}
}

func timeColumn[Row any](optional bool, field func(*Row) *time.Time) func(*Row, string) error {
	return func(r *Row, v string) error {
		if optional && (v == "" || v == "0") {
			return nil
		}
		t, err := time.ParseInLocation(time.DateTime, v, beijing)
		if err != nil || len(v) != len(time.DateTime) {
			return errors.New("it is not a time like 2026-11-20 15:04:05")
		}
		*field(r) = t.UTC()
		return nil
	}
}

// addFee is a+b, or an error where that is too large.
func addFee(a, b Fee) (Fee, error) {
	sum, err := money.Fen(a).Plus(money.Fen(b))
	return Fee(sum), err
}
