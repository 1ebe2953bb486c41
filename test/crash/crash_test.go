// Package crash kills the real program, again and again, while buyers buy from it, and compares what is left with the
// sandbox's books: nothing that anybody was told may be taken back, nothing may stay half done, and every fen must be
// where WeChat says it is. docs/crash-tests.md tells how to run it longer and how to run a failure again.
package crash

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	mathrand "math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	everyday        = 12 // kills of an ordinary run
	hurried         = 6  // of one with -short
	perInstallation = 50 // then another one is begun: starts grow longer with the books, and the test with them
	buyers          = 6
)

// TestKill divides the kills between an installation that is one process and one that is two.
func TestKill(t *testing.T) {
	t.Parallel()
	kills, long := everyday, false
	if testing.Short() {
		kills = hurried
	}
	if text := os.Getenv("FENHAO_CRASHES"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 2 {
			t.Fatalf("FENHAO_CRASHES is %q: it is a number of kills, 2 or more", text)
		}
		kills, long = n, true
	}
	total, seed := kills, randomSeed(t)
	bin := program(t)
	run := func(name string, kills int, begin func(*world)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for part := 1; kills > 0; part++ {
				n := min(kills, perInstallation)
				kills -= n
				t.Run(strconv.Itoa(part), func(t *testing.T) {
					t.Logf("again: FENHAO_CRASH_SEED=%d FENHAO_CRASHES=%s go test ./test/crash -run '^%s$'",
						seed, cmp.Or(os.Getenv("FENHAO_CRASHES"), strconv.Itoa(total)), strings.Split(t.Name(), "/")[0])
					w := newWorld(t, bin, seed, long)
					begin(w)
					w.run(n)
				})
			}
		})
	}
	run("together", kills/2, together)
	run("apart", kills-kills/2, apart)
}

func randomSeed(t *testing.T) uint64 {
	t.Helper()
	if text := os.Getenv("FENHAO_CRASH_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("FENHAO_CRASH_SEED is %q: it is a number that an earlier run printed", text)
		}
		return seed
	}
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails
	return binary.BigEndian.Uint64(b[:])
}

// site is where the installation is reached. The addresses change where a restart takes other ports.
type site struct {
	serviceURL, wechatURL atomic.Pointer[string]
	appID, merchantID     string
	apiKey                string
}

func (s *site) service() string { return *s.serviceURL.Load() }
func (s *site) wechat() string  { return *s.wechatURL.Load() }

// part is a process of an installation, which is started again after each kill.
type part struct {
	log     string
	args    func() []string
	served  func(ready) // hears the line of each start
	process *process
}

// world is one installation, its buyers, and what they were told.
type world struct {
	*testing.T
	bin     string
	dir     string
	seed    uint64
	long    bool // many kills were asked for: time enough to see everything happen by itself
	random  *mathrand.Rand
	site    site
	witness *witness
	parts   []*part
	// business tells whether the service's time is the sandbox's, so that orders can be made to expire.
	business bool
	database string
	secrets  []string // which no log may hold
	starts   []time.Duration
	kills    int
}

func newWorld(t *testing.T, bin string, seed uint64, long bool) *world {
	w := &world{T: t, bin: bin, dir: t.ArtifactDir(), seed: seed, long: long, witness: newWitness()}
	w.random = w.source("kills")
	return w
}

// source returns random numbers that depend on the seed, the test and the name alone.
func (w *world) source(name string) *mathrand.Rand {
	var seed [32]byte
	binary.BigEndian.PutUint64(seed[:], w.seed)
	h := uint64(14695981039346656037) // FNV-1a
	for _, c := range []byte(w.Name() + "/" + name) {
		h = (h ^ uint64(c)) * 1099511628211
	}
	binary.BigEndian.PutUint64(seed[8:], h)
	return mathrand.New(mathrand.NewChaCha8(seed))
}

var (
	taken   = map[int]bool{}
	takenMu sync.Mutex
)

// port finds one that stays free between two runs of a process: below those that systems hand out by themselves.
func (w *world) port() string {
	w.Helper()
	takenMu.Lock()
	defer takenMu.Unlock()
	for range 1000 {
		n := 10000 + mathrand.IntN(20000) // whatever the seed is: another test may be running with the same one
		l, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(n))
		if err != nil || taken[n] {
			continue
		}
		taken[n] = true
		if err := l.Close(); err != nil {
			w.Fatal(err)
		}
		return "127.0.0.1:" + strconv.Itoa(n)
	}
	w.Fatal("no free port found")
	return ""
}

// together is `fenhao dev`: service and WeChat die at once, and business time is WeChat's.
func together(w *world) {
	data := filepath.Join(w.dir, "data")
	w.business, w.database = true, filepath.Join(data, "fenhao.db")
	service, wechat := w.port(), w.port()
	w.parts = []*part{{
		log: filepath.Join(w.dir, "dev.log"),
		args: func() []string {
			s, x := service, wechat
			if w.random.IntN(3) == 0 { // notifications of orders from before go nowhere
				s, x = "127.0.0.1:0", "127.0.0.1:0"
			}
			return []string{"dev", "--json", "--data", data, "--listen", s, "--sandbox-listen", x}
		},
		served: func(r ready) {
			w.site.serviceURL.Store(&r.Service)
			w.site.wechatURL.Store(&r.Sandbox)
			switch s := &w.site; {
			case s.appID == "": // nobody buys yet
				s.appID, s.merchantID, s.apiKey = r.AppID, r.MerchantID, r.APIKey
			case s.appID != r.AppID || s.merchantID != r.MerchantID || s.apiKey != r.APIKey:
				w.witness.complain("after a restart app, merchant or API key are others: %+v", r)
			}
		},
	}}
	if w.random.IntN(2) == 0 { // the very first start, in which keys and catalogue are made, is killed too
		w.stillborn(w.parts[0], 1500)
	}
	w.begin(w.parts[0])
	w.secrets = append(w.secrets, w.site.apiKey)
}

// run kills the installation so often, under load, and then has it settle and be audited.
func (w *world) run(kills int) {
	ctx, stop := context.WithCancel(w.Context())
	defer stop()
	goods, err := all[product](ctx, w.site.service()+"/v1/products", w.site.apiKey, "")
	if want := map[bool]int{true: 5, false: 3}[w.business]; err != nil || len(goods) != want {
		w.Fatalf("the catalogue has %d products, not %d: %v", len(goods), want, err)
	}
	var load sync.WaitGroup
	defer load.Wait()
	defer stop()
	for i := range buyers {
		name := "buyer" + strconv.Itoa(i)
		b := &buyer{name: name, random: w.source(name), site: &w.site, witness: w.witness, goods: goods}
		load.Go(func() { b.live(ctx) })
	}
	for w.kills < kills {
		w.weather(ctx)
		w.recheck(ctx)
		pause(ctx, time.Duration(20+w.random.IntN(380))*time.Millisecond)
		w.crash(kills)
	}
	w.recheck(ctx)
	stop()
	load.Wait()
	w.settle(w.Context())
	w.audit(w.Context())
	for _, p := range w.parts {
		if err := p.process.kill(); err != nil {
			w.Error(err)
		}
	}
	w.autopsy(w.Context())
	w.report(kills)
}

// crash kills one part or several at once, and starts what was killed again.
func (w *world) crash(kills int) {
	w.Helper()
	dead := slices.Clone(w.parts)
	w.random.Shuffle(len(dead), func(i, j int) { dead[i], dead[j] = dead[j], dead[i] })
	dead = dead[:1+w.random.IntN(len(dead))]
	for _, p := range dead {
		if err := p.process.kill(); err != nil {
			w.Fatal(err)
		}
	}
	w.kills++
	for _, p := range dead {
		if w.kills < kills && w.random.IntN(8) == 0 { // while it starts
			w.stillborn(p, 60)
		}
		w.begin(p)
	}
}

// stillborn starts a part and kills it within so many milliseconds, ready or not.
func (w *world) stillborn(p *part, within int) {
	w.Helper()
	p.process = launch(w.T, w.bin, p.log, p.args()...)
	pause(w.Context(), time.Duration(w.random.IntN(within))*time.Millisecond)
	if err := p.process.kill(); err != nil {
		w.Fatal(err)
	}
	w.kills++
}

// begin starts a part and waits until it serves.
func (w *world) begin(p *part) {
	w.Helper()
	p.process = launch(w.T, w.bin, p.log, p.args()...)
	r, took, err := p.process.wait(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	w.starts = append(w.starts, took)
	p.served(r)
}

// weather clears the sandbox's faults, or adds some that are rare.
func (w *world) weather(ctx context.Context) {
	w.Helper()
	url := w.site.wechat() + "/sandbox/v1/faults"
	if a, err := call(ctx, "DELETE", url, "", nil, nil); err != nil || a.status != 204 {
		w.Fatalf("clear the faults: %s, %v", a, err)
	}
	if w.random.IntN(2) == 0 {
		return
	}
	for _, f := range []map[string]any{
		{"on": "v3.prepay", "kind": "lose_response"},
		{"on": "v3.query", "kind": "lose_response"},
		{"on": "v3.close", "kind": "lose_response"},
		{"on": "notify.payment", "kind": "drop"},
		{"on": "notify.payment", "kind": "duplicate"},
		{"on": "notify.payment", "kind": "lose_response"},
	} {
		if w.random.IntN(2) == 0 {
			continue
		}
		f["probability"] = 0.05 + 0.15*w.random.Float64()
		if a, err := call(ctx, "POST", url, "", f, nil); err != nil || a.status != 201 {
			w.Fatalf("fault %v: %s, %v", f, a, err)
		}
		w.witness.count("faults")
	}
}

// report says what the run was worth, and fails one that was worth nothing.
func (w *world) report(kills int) {
	w.Helper()
	slices.Sort(w.starts)
	w.witness.mu.Lock()
	orders, paid, counts := len(w.witness.orders), len(w.witness.phone), fmt.Sprint(w.witness.counts)
	w.witness.mu.Unlock()
	w.Logf("%d kills; %d orders acknowledged, %d payments; %s; start to ready: median %s, longest %s", w.kills, orders, paid,
		counts, w.starts[len(w.starts)/2].Round(time.Millisecond), w.starts[len(w.starts)-1].Round(time.Millisecond))
	if orders < kills || paid < kills/2 {
		w.Errorf("%d orders and %d payments are too few to test %d kills", orders, paid, kills)
	}
	if kills >= 25 {
		for _, what := range []string{"answers lost", "keys repeated", "payments unanswered", "faults", "logins"} {
			if w.witness.counted(what) == 0 {
				w.Errorf("in %d kills there were no %s", kills, what)
			}
		}
	}
}
