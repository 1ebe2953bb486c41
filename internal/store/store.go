// Package store keeps what package pay decides, in SQL: it is pay's [pay.Store] and nothing else. It stores, it does
// not decide: every rule it enforces beyond the transaction (a number is used once, a payment belongs to one order, an
// open order is always due) is a constraint of the schema.
//
// [Open] takes the address of an embedded SQLite database, "sqlite:fenhao.db". All writes go through one goroutine that
// makes many steps durable in one commit (see writer); reads run beside it. A commit is on the disk before anybody is
// told of it: WAL with synchronous=FULL, and Open refuses to run otherwise.
//
// Every query is one text, in words that SQLite and PostgreSQL share, with $1, $2, … for its arguments.
package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/fenhao-pay/fenhao/internal/pay"
)

//go:embed migrations
var migrations embed.FS

// Store is a pay.Store on SQL. It is safe for concurrent use.
type Store struct {
	reader *sql.DB
	reads  sync.Map // query text → *sql.Stmt of reader
	writer *writer
	lock   *os.File
}

var _ pay.Store = (*Store)(nil)

// readers is how many reads run at once.
const readers = 4

// Open opens the database at address, creates it where there is none, and brings its schema to this version. One
// process at a time: a second one is refused. Close it when done.
func Open(ctx context.Context, address string, log *slog.Logger) (*Store, error) {
	path, ok := strings.CutPrefix(address, "sqlite:")
	if !ok || path == "" {
		return nil, fmt.Errorf("database %q: this version keeps its data in SQLite: write sqlite:FILE", redact(address))
	}
	lock, err := lockFile(path + ".lock")
	if err != nil {
		return nil, fmt.Errorf("database %s: %w", path, err)
	}
	s := &Store{lock: lock}
	if err := s.open(ctx, path, log); err != nil {
		s.Close()
		return nil, fmt.Errorf("database %s: %w", path, err)
	}
	return s, nil
}

// redact takes the password out of an address before it is shown.
func redact(address string) string {
	if u, err := url.Parse(address); err == nil {
		return u.Redacted()
	}
	return "…"
}

func (s *Store) open(ctx context.Context, path string, log *slog.Logger) error {
	// The file is made here, so that nobody else can ever read it.
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	pragmas := url.Values{"_pragma": {"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)"}}
	db, err := sql.Open("sqlite", (&url.URL{Scheme: "file", Path: abs, RawQuery: pragmas.Encode()}).String())
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	if err := migrate(ctx, db); err != nil {
		return errors.Join(err, db.Close())
	}
	var journal string
	var sync int
	if err := errors.Join(db.QueryRowContext(ctx, "PRAGMA journal_mode").Scan(&journal), db.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&sync)); err != nil {
		return errors.Join(err, db.Close())
	}
	if journal != "wal" || sync != 2 {
		return errors.Join(fmt.Errorf("journal_mode is %s and synchronous is %d, where wal and 2 (FULL) are needed: on this file system an acknowledged payment could be lost", journal, sync), db.Close())
	}
	if s.writer, err = startWriter(ctx, db, log); err != nil {
		return errors.Join(err, db.Close())
	}
	pragmas.Add("_pragma", "query_only(1)")
	if s.reader, err = sql.Open("sqlite", (&url.URL{Scheme: "file", Path: abs, RawQuery: pragmas.Encode()}).String()); err != nil {
		return err
	}
	s.reader.SetMaxOpenConns(readers)
	s.reader.SetMaxIdleConns(readers)
	return nil
}

func migrate(ctx context.Context, db *sql.DB) error {
	dir, err := fs.Sub(migrations, "migrations/sqlite")
	if err != nil {
		return err
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, db, dir, goose.WithSlog(slog.New(slog.DiscardHandler)))
	if err != nil {
		return err
	}
	_, err = p.Up(ctx)
	return err
}

// Close waits for the writes under way and closes the database. Closing again does nothing.
func (s *Store) Close() error {
	var errs []error
	if s.writer != nil {
		errs = append(errs, s.writer.close())
	}
	if s.reader != nil {
		errs = append(errs, s.reader.Close())
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Close())
		s.lock = nil
	}
	return errors.Join(errs...)
}

// Ping tells whether the database answers and takes writes.
func (s *Store) Ping(ctx context.Context) error {
	return s.writer.do(ctx, func(t *tx) error { return t.row("SELECT 1").Scan(new(int)) })
}

// asker runs queries: a transaction of the writer, or the readers.
type asker interface {
	row(text string, args ...any) *sql.Row
	rows(text string, args ...any) (*sql.Rows, error)
}

// read is the readers under one context.
type read struct {
	ctx context.Context
	s   *Store
}

func (s *Store) read(ctx context.Context) asker { return read{ctx, s} }

func (r read) row(text string, args ...any) *sql.Row {
	stmt, err := r.stmt(text)
	if err != nil { // the same mistake again, in the shape of a row
		return r.s.reader.QueryRowContext(r.ctx, text, args...)
	}
	return stmt.QueryRowContext(r.ctx, args...)
}

func (r read) rows(text string, args ...any) (*sql.Rows, error) {
	stmt, err := r.stmt(text)
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(r.ctx, args...)
}

func (r read) stmt(text string) (*sql.Stmt, error) {
	if stmt, ok := r.s.reads.Load(text); ok {
		return stmt.(*sql.Stmt), nil
	}
	stmt, err := r.s.reader.PrepareContext(r.ctx, text)
	if err != nil {
		return nil, err
	}
	if first, loaded := r.s.reads.LoadOrStore(text, stmt); loaded {
		return first.(*sql.Stmt), stmt.Close()
	}
	return stmt, nil
}

// isDup tells whether err is a broken unique constraint.
func isDup(err error) bool {
	var e *sqlite.Error
	return errors.As(err, &e) && (e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)
}
