package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
)

// maxBatch bounds how many steps share a commit, and thereby how long the first of them waits for the last.
const maxBatch = 128

// writer is the one goroutine that writes. It takes the steps that wait, runs each in its own savepoint, and makes them
// durable in one commit: what a commit costs is the wait for the disk, and they share it. A step that fails is rolled
// back alone. Nobody is told of a success before the commit.
type writer struct {
	db   *sql.DB
	conn *sql.Conn
	tx   *tx
	log  *slog.Logger

	mu     sync.RWMutex // held for reading while a job is handed over, for writing to close
	closed bool
	jobs   chan *job
	done   chan struct{}
}

// job is a step that waits to be written.
type job struct {
	ctx  context.Context
	step func(*tx) error
	err  error
	done chan struct{}
}

// errClosed is what a write after Close gets.
var errClosed = errors.New("the database is closed")

func startWriter(ctx context.Context, db *sql.DB, log *slog.Logger) (*writer, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	w := &writer{db: db, conn: conn, log: log, jobs: make(chan *job, maxBatch), done: make(chan struct{})}
	// Its own context: a caller who goes away must not end a transaction that others share.
	w.tx = &tx{ctx: context.WithoutCancel(ctx), conn: conn, stmts: map[string]*sql.Stmt{}}
	go w.loop()
	return w, nil
}

// do runs step in a transaction of its own, durable when do returns nil. A step may only compute and use the tx.
func (w *writer) do(ctx context.Context, step func(*tx) error) error {
	j := &job{ctx: ctx, step: step, done: make(chan struct{})}
	w.mu.RLock()
	if w.closed {
		w.mu.RUnlock()
		return errClosed
	}
	select {
	case w.jobs <- j:
		w.mu.RUnlock()
	case <-ctx.Done():
		w.mu.RUnlock()
		return ctx.Err()
	}
	// From here on the outcome is waited for, whatever ctx says: "perhaps written" is no answer.
	<-j.done
	return j.err
}

func (w *writer) close() error {
	w.mu.Lock()
	if w.closed {
		w.mu.Unlock()
		return nil
	}
	w.closed = true
	close(w.jobs)
	w.mu.Unlock()
	<-w.done
	return errors.Join(w.conn.Close(), w.db.Close())
}

func (w *writer) loop() {
	defer close(w.done)
	batch := make([]*job, 0, maxBatch)
	for j := range w.jobs {
		batch = append(batch[:0], j)
	more:
		for len(batch) < maxBatch {
			select {
			case j, ok := <-w.jobs:
				if !ok {
					break more
				}
				batch = append(batch, j)
			default:
				break more
			}
		}
		w.write(batch)
		for _, j := range batch {
			close(j.done)
		}
	}
}

// write runs a batch and sets each job's error.
func (w *writer) write(batch []*job) {
	fail := func(err error) {
		for _, j := range batch {
			if j.err == nil {
				j.err = err
			}
		}
	}
	if err := w.tx.exec("BEGIN IMMEDIATE"); err != nil {
		fail(fmt.Errorf("begin: %w", err))
		return
	}
	for _, j := range batch {
		if j.err = j.ctx.Err(); j.err != nil {
			continue
		}
		if err := w.tx.exec("SAVEPOINT step"); err != nil {
			j.err = err
			continue
		}
		if j.err = run(j.step, w.tx); j.err != nil {
			if err := w.tx.exec("ROLLBACK TO step"); err != nil {
				w.rollback(err)
				fail(fmt.Errorf("roll a step back: %w", err))
				return
			}
		}
		if err := w.tx.exec("RELEASE step"); err != nil {
			w.rollback(err)
			fail(fmt.Errorf("release a step: %w", err))
			return
		}
	}
	if err := w.tx.exec("COMMIT"); err != nil {
		w.rollback(err)
		fail(fmt.Errorf("commit: %w", err))
	}
}

// rollback ends a transaction that could not be committed (disk full, input/output error). SQLite has often rolled it
// back by itself already.
func (w *writer) rollback(cause error) {
	w.log.Error("a transaction was rolled back", "err", cause)
	_ = w.tx.exec("ROLLBACK") // "no transaction is active" is what we want to hear
}

// run keeps a step that panics from taking the other steps of its batch along.
func run(step func(*tx) error, t *tx) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a step: %v\n%s", p, debug.Stack())
		}
	}()
	return step(t)
}

// tx is the writer's connection inside of a transaction, with its statements prepared once.
type tx struct {
	ctx   context.Context
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
}

func (t *tx) stmt(text string) (*sql.Stmt, error) {
	if s, ok := t.stmts[text]; ok {
		return s, nil
	}
	s, err := t.conn.PrepareContext(t.ctx, text)
	if err == nil {
		t.stmts[text] = s
	}
	return s, err
}

func (t *tx) exec(text string, args ...any) error {
	_, err := t.affected(text, args...)
	return err
}

// affected runs a statement and tells how many rows it touched.
func (t *tx) affected(text string, args ...any) (int64, error) {
	s, err := t.stmt(text)
	if err != nil {
		return 0, err
	}
	res, err := s.ExecContext(t.ctx, args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

func (t *tx) row(text string, args ...any) *sql.Row {
	s, err := t.stmt(text)
	if err != nil { // the same mistake again, in the shape of a row
		return t.conn.QueryRowContext(t.ctx, text, args...)
	}
	return s.QueryRowContext(t.ctx, args...)
}

func (t *tx) rows(text string, args ...any) (*sql.Rows, error) {
	s, err := t.stmt(text)
	if err != nil {
		return nil, err
	}
	return s.QueryContext(t.ctx, args...)
}
