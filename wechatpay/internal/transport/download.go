package transport

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha1" // WeChat Pay's choice; it guards against accidents alone
	"crypto/subtle"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"
)

// stallTime is how long a download may pause. A download as a whole has no limit but its context.
const stallTime = 30 * time.Second

// ErrStalled is the error of a download that paused for too long.
var ErrStalled = fmt.Errorf("nothing came for %v", stallTime)

// Watch ends a download that pauses, from the request on. The HTTP client must have no timeout of its own, which would
// end a download that is under way.
type Watch struct {
	ctx    context.Context
	cancel context.CancelCauseFunc
	timer  *time.Timer
}

// NewWatch returns the context to ask for a download with. Close the body that Body gives, or call Stop.
func NewWatch(ctx context.Context) (context.Context, *Watch) {
	ctx, cancel := context.WithCancelCause(ctx)
	return ctx, &Watch{ctx, cancel, time.AfterFunc(stallTime, func() { cancel(ErrStalled) })}
}

// Stalled reports whether a pause has ended the download.
func (w *Watch) Stalled() bool { return context.Cause(w.ctx) == ErrStalled }

// Stop ends the download.
func (w *Watch) Stop() {
	w.timer.Stop()
	w.cancel(nil)
}

// Body is the body that came, watched. An error of reading it goes through broke.
func (w *Watch) Body(body io.ReadCloser, broke func(error) error) io.ReadCloser {
	return &watched{body, w, broke}
}

type watched struct {
	io.ReadCloser
	watch *Watch
	broke func(error) error
}

func (b *watched) Read(p []byte) (int, error) {
	b.watch.timer.Reset(stallTime)
	n, err := b.ReadCloser.Read(p)
	b.watch.timer.Stop() // what the reader does with it takes as long as it takes
	switch {
	case err == nil || err == io.EOF:
		return n, err
	case b.watch.Stalled():
		return n, b.broke(ErrStalled)
	}
	return n, b.broke(err)
}

func (b *watched) Close() error {
	b.watch.timer.Stop()
	err := b.ReadCloser.Close()
	b.watch.cancel(nil)
	return err
}

// MaxBill is the default limit of a bill's plain text: some three million rows.
const MaxBill = 1 << 30

// Bill is the plain text of a bill that is being downloaded. It ends with io.EOF only where its hash is right.
type Bill struct {
	body        io.Closer
	raw         *bufio.Reader // as it came
	in          io.Reader     // without gzip
	sum, rawSum hash.Hash
	want        []byte
	left        int64
	bad         func(error) error
	end         error // what the last read returned, if it was an error
}

// NewBill makes a bill of at most most bytes of a body. want is its SHA-1, or nil where there is nothing to compare.
// Errors of the body, and of what is not the bill that was announced, go through bad.
func NewBill(body io.ReadCloser, want []byte, most int64, bad func(error) error) *Bill {
	b := &Bill{body: body, want: want, left: most, bad: bad, sum: sha1.New(), rawSum: sha1.New()}
	b.raw = bufio.NewReaderSize(io.TeeReader(body, b.rawSum), 16<<10)
	return b
}

// Raw is the body as it comes, to look at before Unpack.
func (b *Bill) Raw() *bufio.Reader { return b.raw }

// Unpack comes before the first Read. What was asked for is gzip; whether it came is to be seen: proxies unpack.
func (b *Bill) Unpack() error {
	b.in = b.raw
	magic, err := b.raw.Peek(2)
	if err != nil && err != io.EOF {
		b.end = b.bad(err) // to be told by Read; the body need not fail a second time
	}
	if !bytes.Equal(magic, []byte{0x1f, 0x8b}) {
		return nil
	}
	plain, err := gzip.NewReader(b.raw)
	if err != nil {
		return b.bad(err)
	}
	b.in = plain
	return nil
}

// Read implements io.Reader.
func (b *Bill) Read(p []byte) (int, error) {
	if b.end != nil {
		return 0, b.end
	}
	n, err := b.in.Read(p)
	b.sum.Write(p[:n])
	if b.left -= int64(n); b.left < 0 {
		n, err = 0, b.bad(errors.New("it is longer than the limit"))
	} else if err == io.EOF && !b.matches() {
		err = b.bad(errors.New("its SHA-1 is another one"))
	} else if err != nil && err != io.EOF {
		err = b.bad(err)
	}
	b.end = err
	return n, err
}

// matches compares with the hash of the text, as the manual of API v3 says, and of the file as it was sent: one proves as
// much as the other, and API v2 doesn't say which is meant.
func (b *Bill) matches() bool {
	same := func(h hash.Hash) bool { return subtle.ConstantTimeCompare(h.Sum(nil), b.want) == 1 }
	return b.want == nil || same(b.sum) || same(b.rawSum)
}

// Close closes the body.
func (b *Bill) Close() error { return b.body.Close() }
