package sandbox

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Fault is a rule by which the sandbox misbehaves: on an operation, in a way, so often. Rules are looked at in the order
// in which they were added; of the rules that would do the same thing to one call (cut it, spoil its signature, change
// its content) the first one that strikes does it.
//
// Operations: v3.prepay (all four), v3.query (by either number), v3.close, v3.refund, v3.refund_query, v3.abnormal_refund,
// v3.certificates, v2.prepay (all four), v2.query, v2.close, v2.refund, v2.refund_query, v2.micropay, v2.reverse, bill (asking
// for a bill of either kind), bill_download, login (the exchange of a code), notify.payment, notify.refund, and * for all of them where the kind
// makes sense.
//
// Kinds on calls:
//
//	error          answers Status and Code instead of executing; with Executed after executing
//	delay          waits Delay of real time before executing
//	hang           never answers and never executes
//	lose_request   cuts the connection without executing
//	lose_response  executes, then cuts the connection without an answer
//	bad_signature  answers truly, with a signature that isn't WeChat Pay's
//	signtest       answers truly, with a probe for a signature (WECHATPAY/SIGNTEST/…)
//	truncate       answers truly, and cuts the connection in the middle of the body
//	wrong_amount   answers, signed, with one fen more than was ordered
//	wrong_app      answers, signed, with another appid
//
// Kinds that choose how an accepted refund ends. Delay, on the sandbox's clock, says when; without it, it is the usual time
// of [Settings.RefundAfter]:
//
//	abnormal       ABNORMAL
//	closed         CLOSED
//	processing     stays PROCESSING, for Delay and then SUCCESS, or for ever
//
// Kinds that change what a bill says of one row or how its file is; a link that was given keeps its fault. But for the
// first two, the sums and the hash are those of the changed bill:
//
//	truncate       half of the file, where the hash is the whole one's
//	wrong_hash     another hash
//	drop_row       a row is missing
//	duplicate      a row is there twice
//	wrong_amount   an amount is one fen more
//	wrong_fee      a fee is one fen more (trade bills)
//	wrong_app      another appid (trade bills)
//	extra_row      a payment that never was (trade bills)
//
// Kinds that change a notification once, when it comes to be:
//
//	drop           it is never sent
//	delay          its first attempt is Delay late, on the sandbox's clock
//	duplicate      its first attempt is two at the same time
//	reorder        of a payment: its first attempt comes after that of the merchant's next notification, or Delay (one
//	               minute) late; of a refund: the refund ends at once, and the answer of the call that asked for it comes
//	               after the first attempt was answered, and Delay of real time later
//	replay         after it was accepted, the very same request comes again, Delay later
//
// Kinds that change one attempt, of which the repeats follow the schedule as after any failure:
//
//	lose_request   the attempt is lost and counts as failed
//	lose_response  it is delivered, but the answer is lost, so that it counts as failed whatever it was
//	bad_signature, signtest, truncate, wrong_amount, wrong_app  as for calls; truncate cuts the body in half
type Fault struct {
	ID          string        // given by the sandbox
	On          string        // an operation
	Kind        string        // what happens
	Count       int           // how often it still strikes, then it is gone; 0 is without end
	Probability float64       // of striking, above 0 and up to 1; 0 is always
	Status      int           // error: the HTTP status; of v2 without a code, or above 500, it comes without XML
	Code        string        // error: WeChat's code; of login an error number such as "45011"
	Delay       time.Duration // see the kinds
	Executed    bool          // error: execute before answering
}

// faultJSON is a Fault as the control API has it: delays are texts such as "2h".
type faultJSON struct {
	ID          string  `json:"id"`
	On          string  `json:"on"`
	Kind        string  `json:"kind"`
	Count       int     `json:"count"`
	Probability float64 `json:"probability"`
	Status      int     `json:"status,omitempty"`
	Code        string  `json:"code,omitempty"`
	Delay       string  `json:"delay,omitempty"`
	Executed    bool    `json:"executed,omitempty"`
}

// MarshalJSON writes the form of the control API.
func (f Fault) MarshalJSON() ([]byte, error) {
	j := faultJSON{f.ID, f.On, f.Kind, f.Count, f.Probability, f.Status, f.Code, "", f.Executed}
	if f.Delay != 0 {
		j.Delay = f.Delay.String()
	}
	return json.Marshal(j)
}

// UnmarshalJSON reads the form of the control API, and nothing beyond it.
func (f *Fault) UnmarshalJSON(b []byte) error {
	var j faultJSON
	if err := decodeStrictly(b, &j); err != nil {
		return err
	}
	*f = Fault{j.ID, j.On, j.Kind, j.Count, j.Probability, j.Status, j.Code, 0, j.Executed}
	if j.Delay == "" {
		return nil
	}
	d, err := time.ParseDuration(j.Delay)
	if err != nil {
		return fmt.Errorf(`delay %q is no duration: write it like "3s" or "1h30m"`, j.Delay)
	}
	f.Delay = d
	return nil
}

// senses says which kinds make sense for which operation.
var senses = func() map[string][]string {
	calls := []string{"error", "delay", "hang", "lose_request", "lose_response"}
	signed := append(slices.Clip(calls), "bad_signature", "signtest")
	return map[string][]string{
		"v3.prepay": append(slices.Clip(signed), "truncate"),
		"v3.query":  append(slices.Clip(signed), "truncate", "wrong_amount", "wrong_app"),
		"v3.close":  signed, // its answer has no body
		"v3.refund": append(slices.Clip(signed), "truncate", "wrong_amount", "abnormal", "closed",
			"processing"),
		"v3.refund_query":    append(slices.Clip(signed), "truncate", "wrong_amount"),
		"v3.abnormal_refund": append(slices.Clip(signed), "truncate", "wrong_amount"),
		"v3.certificates":    append(slices.Clip(signed), "truncate"),
		"v2.prepay":          append(slices.Clip(calls), "bad_signature", "truncate"),
		"v2.query":           append(slices.Clip(calls), "bad_signature", "truncate", "wrong_amount", "wrong_app"),
		"v2.close":           append(slices.Clip(calls), "bad_signature", "truncate"),
		"v2.refund": append(slices.Clip(calls), "bad_signature", "truncate", "wrong_amount", "abnormal", "closed",
			"processing"),
		"v2.micropay":     append(slices.Clip(calls), "bad_signature", "truncate", "wrong_amount"),
		"v2.reverse":      append(slices.Clip(calls), "bad_signature", "truncate"),
		"v2.refund_query": append(slices.Clip(calls), "bad_signature", "truncate", "wrong_amount"),
		"bill":            slices.Concat(signed, billFaults, tradeBillFault),
		"bill_download":   append(slices.Clip(calls), "truncate"), // its answer is not signed
		"login":           append(slices.Clip(calls), "truncate"), // its answer is not signed
		"notify.payment": {"delay", "drop", "duplicate", "reorder", "replay", "lose_request", "lose_response",
			"bad_signature", "signtest", "truncate", "wrong_amount", "wrong_app"},
		"notify.refund": {"delay", "drop", "duplicate", "reorder", "replay", "lose_request", "lose_response",
			"bad_signature", "signtest", "truncate", "wrong_amount"},
	}
}()

// faults are the rules, in the order in which they were added.
type faults struct {
	rules []*Fault
	last  int // number in the last id
}

// restore takes in a rule that was kept, or puts it in the place of what was kept of it before.
func (f *faults) restore(rule Fault) {
	if n, err := strconv.Atoi(strings.TrimPrefix(rule.ID, "flt_")); err == nil {
		f.last = max(f.last, n)
	}
	i := slices.IndexFunc(f.rules, func(old *Fault) bool { return old.ID == rule.ID })
	if i < 0 {
		f.rules = append(f.rules, &rule)
		return
	}
	*f.rules[i] = rule
}

// delayed are the kinds that take a delay.
var delayed = []string{"abnormal", "closed", "delay", "processing", "reorder", "replay"}

var isCode = regexp.MustCompile(`^[A-Z][A-Z0-9_]{0,31}$`).MatchString

// check says why the rule makes no sense, or fills in what it leaves out.
func (f *Fault) check() error {
	operations := slices.Sorted(maps.Keys(senses))
	var kinds []string
	for _, o := range operations {
		if f.On == o || f.On == "*" {
			kinds = append(kinds, senses[o]...)
		}
	}
	slices.Sort(kinds)
	kinds = slices.Compact(kinds)
	switch {
	case len(kinds) == 0:
		return fmt.Errorf("on %q is no operation: use one of %s, or *", f.On, strings.Join(operations, ", "))
	case !slices.Contains(kinds, f.Kind):
		return fmt.Errorf("kind %q makes no sense on %s: use one of %s", f.Kind, f.On, strings.Join(kinds, ", "))
	case f.Count < 0:
		return fmt.Errorf("count %d is negative: leave it out for a rule without end", f.Count)
	case !(f.Probability >= 0 && f.Probability <= 1):
		return fmt.Errorf("probability %v is not between 0 and 1", f.Probability)
	case f.Delay < 0:
		return fmt.Errorf("delay %s is negative", f.Delay)
	case f.Kind == "delay" && f.Delay == 0:
		return fmt.Errorf(`kind "delay" needs a delay, such as "3s"`)
	case f.Delay != 0 && !slices.Contains(delayed, f.Kind):
		return fmt.Errorf("delay goes with the kinds %s, not with %s", strings.Join(delayed, ", "), f.Kind)
	case f.Kind != "error" && (f.Status != 0 || f.Code != "" || f.Executed):
		return fmt.Errorf("status, code and executed go with the kind error, not with %s", f.Kind)
	}
	if f.Probability == 0 {
		f.Probability = 1
	}
	if f.Kind == "error" {
		return f.checkError()
	}
	return nil
}

// errorCodes are the statuses of the codes that a v3 call may answer. Source: vendor manual, "HTTP状态码与错误码".
var errorCodes = map[string]int{
	"PARAM_ERROR": 400, "INVALID_REQUEST": 400, "APPID_MCHID_NOT_MATCH": 400, "MCH_NOT_EXISTS": 400, "ORDER_CLOSED": 400,
	"ORDER_PAID": 400, "SIGN_ERROR": 401, "NO_AUTH": 403, "OUT_TRADE_NO_USED": 403, "RULE_LIMIT": 403, "TRADE_ERROR": 403,
	"ACCOUNT_ERROR": 403, "USER_ACCOUNT_ABNORMAL": 403, "NOT_ENOUGH": 403, "REQUEST_BLOCKED": 403, "ORDER_NOT_EXIST": 404,
	"RESOURCE_NOT_EXISTS": 404, "FREQUENCY_LIMITED": 429, "RATELIMIT_EXCEEDED": 429, "SYSTEM_ERROR": 500, "BANK_ERROR": 500,
	"SERVICE_UNAVAILABLE": 503, "USERPAYING": 202, "TRADE_OVERDUE": 403, "ORDER_REVERSED": 400, "REFUND_NOT_EXISTS": 404,
	"BIZ_ERR_NEED_RETRY": 500, "NO_STATEMENT_EXIST": 400, "STATEMENT_CREATING": 400, "REFUND_FEE_MISMATCH": 400,
	"INVALID_TRANSACTIONID": 500,
}

// statusOf is the status of a code that an operation answers.
func statusOf(operation, code string) int {
	if code == "MCH_NOT_EXISTS" && strings.Contains(operation, "refund") {
		return http.StatusNotFound // of the order calls it is 400
	}
	return errorCodes[code]
}

// statusCodes are the codes that stand for a status where none was given.
var statusCodes = map[int]string{
	202: "USERPAYING", 400: "PARAM_ERROR", 401: "SIGN_ERROR", 403: "RULE_LIMIT", 404: "ORDER_NOT_EXIST",
	429: "FREQUENCY_LIMITED", 500: "SYSTEM_ERROR",
	502: "SERVICE_UNAVAILABLE", 503: "SERVICE_UNAVAILABLE", 504: "SERVICE_UNAVAILABLE",
}

func (f *Fault) checkError() error {
	_, number := strconv.Atoi(f.Code)
	switch {
	case f.On == "login" && f.Code == "":
		f.Code = "-1"
	case f.On == "login" && number != nil:
		return fmt.Errorf(`code %q is no error number: login has numbers such as "45011"`, f.Code)
	case f.On == "login":
	case strings.HasPrefix(f.On, "v2."):
		f.spellV2()
		if f.Code != "" && !isCode(f.Code) {
			return fmt.Errorf("code %q is none of WeChat Pay's: those of API v2 look like SYSTEMERROR", f.Code)
		}
		if f.Status < 200 || f.Status > 599 || f.Status != http.StatusOK && f.Status < 400 {
			return fmt.Errorf("status %d is no error", f.Status)
		}
		return nil
	case f.Code != "" && !isCode(f.Code):
		return fmt.Errorf("code %q is none of WeChat Pay's: they look like SYSTEM_ERROR", f.Code)
	case f.Status == 0 && f.Code == "":
		f.Status, f.Code = http.StatusInternalServerError, "SYSTEM_ERROR"
	case f.Code == "":
		f.Code = statusCodes[f.Status]
	case f.Status == 0:
		f.Status = statusOf(f.On, f.Code)
	}
	if f.On == "login" && f.Status == 0 {
		f.Status = http.StatusOK
	}
	switch {
	case f.Code == "" || f.Status == 0:
		return fmt.Errorf("give both status and code: the sandbox knows none that goes with the one given")
	case f.Status > 599, f.On == "login" && f.Status < 200, f.On != "login" && f.Status != 202 && f.Status < 400:
		return fmt.Errorf("status %d is no error", f.Status)
	}
	return nil
}

// AddFault adds a rule and returns it complete. The error says what makes no sense and what would.
func (s *Sandbox) AddFault(f Fault) (Fault, error) {
	if err := f.check(); err != nil {
		return Fault{}, err
	}
	s.mu.Lock()
	s.faults.last++
	f.ID = "flt_" + strconv.Itoa(s.faults.last)
	s.faults.rules = append(s.faults.rules, &f)
	s.save(kindFault, f)
	added := f
	s.mu.Unlock()
	s.record(Entry{Kind: "fault", Name: "fault.added", Summary: added.String()})
	return added, s.settled()
}

// String is the rule in a few words.
func (f Fault) String() string {
	t := f.ID + ": " + f.Kind + " on " + f.On
	if f.Count > 0 {
		t += fmt.Sprintf(", %d×", f.Count)
	}
	if f.Probability < 1 {
		t += fmt.Sprintf(", probability %v", f.Probability)
	}
	return t
}

// Faults are the rules that may still strike.
func (s *Sandbox) Faults() []Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]Fault, len(s.faults.rules))
	for i, f := range s.faults.rules {
		all[i] = *f
	}
	return all
}

// ClearFaults removes all rules. What they did before stays done.
func (s *Sandbox) ClearFaults() error {
	for _, f := range s.Faults() {
		s.RemoveFault(f.ID)
	}
	return s.settled()
}

// RemoveFault removes one rule and tells whether there was one.
func (s *Sandbox) RemoveFault(id string) bool {
	s.mu.Lock()
	had := s.removeFault(id)
	s.mu.Unlock()
	if had {
		s.record(Entry{Kind: "fault", Name: "fault.removed", Summary: id})
	}
	return had
}

// removeFault is RemoveFault for those who hold mu.
func (s *Sandbox) removeFault(id string) bool {
	i := slices.IndexFunc(s.faults.rules, func(f *Fault) bool { return f.ID == id })
	if i < 0 {
		return false
	}
	s.faults.rules = slices.Delete(s.faults.rules, i, i+1)
	s.erase(kindFault, id)
	return true
}

// strike is the first rule for the operation, of one of the kinds, that strikes now; nil is fair weather.
func (s *Sandbox) strike(operation string, kinds ...string) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.strikeHeld(operation, "", kinds...)
}

// strikeHeld is strike for those who hold mu.
func (s *Sandbox) strikeHeld(operation, outTradeNo string, kinds ...string) *Fault {
	for _, f := range s.faults.rules {
		meant := (f.On == operation || f.On == "*") && slices.Contains(senses[operation], f.Kind)
		if !meant || !slices.Contains(kinds, f.Kind) {
			continue
		}
		if f.Probability < 1 && !s.random.strikes("fault "+f.ID, f.Probability) {
			continue
		}
		struck := *f
		if struck.Kind == "error" && operation == "login" && f.On == "*" {
			struck.Status, struck.Code = http.StatusOK, "-1" // login has numbers for codes
		}
		if f.Count > 0 {
			if f.Count--; f.Count == 0 {
				s.removeFault(f.ID)
			} else {
				s.save(kindFault, *f)
			}
		}
		s.recordHeld(Entry{Kind: "fault", Name: "fault." + struck.Kind, OutTradeNo: outTradeNo,
			Summary: struck.Kind + " strikes " + operation + " (" + struck.ID + ")"})
		return &struck
	}
	return nil
}
