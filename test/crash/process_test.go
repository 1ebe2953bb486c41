package crash

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// program returns the path of the real binary: FENHAO_BIN, or built from this module.
func program(t *testing.T) string {
	t.Helper()
	if path := os.Getenv("FENHAO_BIN"); path != "" {
		return path
	}
	path := filepath.Join(t.TempDir(), "fenhao")
	if runtime.GOOS == "windows" {
		path += ".exe"
	}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", path, "./cmd/fenhao")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the program: %v\n%s", err, out)
	}
	return path
}

// ready is the one line on standard output of a command that serves.
type ready struct {
	Service    string `json:"service"`
	Sandbox    string `json:"sandbox"`
	AppID      string `json:"app_id"`
	MerchantID string `json:"merchant_id"`
	APIKey     string `json:"api_key"`
}

// startLimit is when a start counts as failed. It is far above what a start takes, so that a busy machine is no failure.
const startLimit = 10 * time.Second

// process is one run of the program, from its start to its end.
type process struct {
	name    string
	cmd     *exec.Cmd
	log     string // file of its standard error
	started time.Time
	line    chan string   // its first line of standard output, once; closed without one when there is none
	gone    chan struct{} // closed when it has ended
	ended   error         // how; to be read after gone
}

// launcher starts processes on one thread that lasts: a process that is to die with its parent dies, on Linux, with the
// thread that started it.
var launcher = sync.OnceValue(func() chan<- func() {
	work := make(chan func())
	go func() {
		runtime.LockOSThread()
		for f := range work {
			f()
		}
	}()
	return work
})

// launch starts the program. It is killed at the end of the test, if it is still there.
func launch(t *testing.T, bin, log string, args ...string) *process {
	t.Helper()
	stderr, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	stdout, out, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	p := &process{name: args[0], cmd: exec.Command(bin, args...), log: log, line: make(chan string, 1), gone: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr, p.cmd.SysProcAttr = out, stderr, diesWithParent()
	for _, v := range os.Environ() { // what the machine's user has set must not change what is tested
		if !strings.HasPrefix(v, "FENHAO_") {
			p.cmd.Env = append(p.cmd.Env, v)
		}
	}
	begun := make(chan error)
	p.started = time.Now()
	launcher() <- func() { begun <- p.cmd.Start() }
	err = <-begun
	out.Close()
	if err != nil {
		stdout.Close()
		t.Fatalf("start %s: %v", bin, err)
	}
	go func() {
		defer stdout.Close()
		defer close(p.line)
		lines := bufio.NewScanner(stdout)
		for first := true; lines.Scan(); first = false {
			if first {
				p.line <- lines.Text()
			}
		}
	}()
	go func() {
		p.ended = p.cmd.Wait()
		close(p.gone)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // it has usually ended long ago
		<-p.gone
	})
	return p
}

// wait returns the line that the process prints when it serves, and how long that took.
func (p *process) wait(ctx context.Context) (ready, time.Duration, error) {
	limit := time.NewTimer(startLimit)
	defer limit.Stop()
	var r ready
	select {
	case line, ok := <-p.line:
		took := time.Since(p.started)
		if !ok {
			<-p.gone
			return r, took, fmt.Errorf("%s ended before it served: %v\n%s", p.name, p.ended, p.lastWords())
		}
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			return r, took, fmt.Errorf("%s says it is ready with %q: %w", p.name, line, err)
		}
		return r, took, nil
	case <-limit.C:
		return r, startLimit, fmt.Errorf("%s does not serve %s after its start\n%s", p.name, startLimit, p.lastWords())
	case <-ctx.Done():
		return r, 0, ctx.Err()
	}
}

// kill is kill -9. The error is that somebody or something was quicker.
func (p *process) kill() error {
	select {
	case <-p.gone:
		return fmt.Errorf("%s ended by itself: %v\n%s", p.name, p.ended, p.lastWords())
	default:
	}
	if err := p.cmd.Process.Kill(); err != nil {
		return fmt.Errorf("kill %s: %w", p.name, err)
	}
	<-p.gone
	return nil
}

// lastWords are the last lines of the log.
func (p *process) lastWords() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}
