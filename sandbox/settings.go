package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Settings are how the sandbox behaves where WeChat Pay differs by merchant, by day or by luck.
type Settings struct {
	// RefundAfter is how long a refund is PROCESSING, on the sandbox's clock, before it is SUCCESS; 5 s at first.
	RefundAfter time.Duration

	// RefundGap is the time that must be between two refunds of one order, else FREQUENCY_LIMITED. WeChat Pay wants a
	// minute; 0, as at first, wants none.
	RefundGap time.Duration

	// BusyClose refuses to close an unpaid order (FREQUENCY_LIMITED) whose buyer was at the cashier less than this ago,
	// paying or not; 0, as at first, never does.
	BusyClose time.Duration

	// RateLimits are the calls that one merchant may make in a second of real time, by operation; those beyond are answered
	// FREQUENCY_LIMITED. v3.refund.failing counts the refused calls of v3.refund: with that many in a second, further calls
	// of v3.refund are refused too; v2.refund.failing likewise. Operations that aren't there, as all at first, have no limit.
	// Those that WeChat Pay publishes are [PublishedRateLimits].
	RateLimits map[string]int

	// ClientCertificates makes the calls of v2 that want the merchant's certificate refuse plain HTTP, by which none can be
	// shown; at first they take it. Over TLS the certificate is always asked for.
	ClientCertificates bool

	// OmitSignType leaves sign_type out of v2 payment notifications, as some were seen to come; at first it is there.
	// Either way they are signed with the algorithm of the order.
	OmitSignType bool
}

// PublishedRateLimits are the limits that WeChat Pay publishes for one merchant. Source: vendor manual and support.
func PublishedRateLimits() map[string]int {
	return map[string]int{
		"v3.prepay": 600, "v3.refund": 150, failingRefunds: 6, "v3.refund_query": 300, "v3.abnormal_refund": 150,
		"v2.prepay": 600, "v2.refund": 150, failingRefundsV2: 6, "v2.refund_query": 300, "v2.micropay": 30,
		"bill.fundflowbill": 3, "v3.certificates": 1000,
	}
}

// failingRefunds is the limit of refused refunds.
const failingRefunds = "v3.refund.failing"

// calm are the settings of a new sandbox and after a reset.
func calm() Settings { return Settings{RefundAfter: 5 * time.Second} }

// settingsJSON is Settings as the control API has it; what a request leaves out stays as it is.
type settingsJSON struct {
	RefundAfter *string         `json:"refund_after,omitempty"`
	RefundGap   *string         `json:"refund_gap,omitempty"`
	BusyClose   *string         `json:"busy_close,omitempty"`
	RateLimits  *map[string]int `json:"rate_limits,omitempty"`

	ClientCertificates *bool `json:"client_certificates,omitempty"`
	OmitSignType       *bool `json:"omit_sign_type,omitempty"`
}

// MarshalJSON writes the form of the control API: times are texts such as "5s".
func (s Settings) MarshalJSON() ([]byte, error) {
	after, gap, busy, limits := s.RefundAfter.String(), s.RefundGap.String(), s.BusyClose.String(), s.RateLimits
	if limits == nil {
		limits = map[string]int{}
	}
	return json.Marshal(settingsJSON{&after, &gap, &busy, &limits, &s.ClientCertificates, &s.OmitSignType})
}

// UnmarshalJSON reads the form of the control API over what s has, and nothing beyond it.
func (s *Settings) UnmarshalJSON(b []byte) error {
	var j settingsJSON
	if err := decodeStrictly(b, &j); err != nil {
		return err
	}
	for _, one := range []struct {
		name string
		text *string
		to   *time.Duration
	}{{"refund_after", j.RefundAfter, &s.RefundAfter}, {"refund_gap", j.RefundGap, &s.RefundGap},
		{"busy_close", j.BusyClose, &s.BusyClose}} {
		if one.text == nil {
			continue
		}
		d, err := time.ParseDuration(*one.text)
		if err != nil {
			return fmt.Errorf(`%s %q is no duration: write it like "5s" or "1h30m"`, one.name, *one.text)
		}
		*one.to = d
	}
	if j.RateLimits != nil {
		s.RateLimits = *j.RateLimits
	}
	if j.ClientCertificates != nil {
		s.ClientCertificates = *j.ClientCertificates
	}
	if j.OmitSignType != nil {
		s.OmitSignType = *j.OmitSignType
	}
	return nil
}

// limited are the names that RateLimits may have.
func limited() []string {
	names := []string{failingRefunds, failingRefundsV2}
	for _, o := range operations {
		names = append(names, o.limit())
	}
	for _, o := range operationsV2 {
		names = append(names, o.limit())
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (s Settings) check() error {
	if s.RefundAfter < 0 || s.RefundGap < 0 || s.BusyClose < 0 {
		return errors.New("refund_after, refund_gap and busy_close are 0 or more")
	}
	for name, most := range s.RateLimits {
		if !slices.Contains(limited(), name) {
			return fmt.Errorf("rate_limits: %q is no operation: use %s", name, strings.Join(limited(), ", "))
		}
		if most < 1 {
			return fmt.Errorf("rate_limits: %s: %d is no limit: leave the operation out for none", name, most)
		}
	}
	return nil
}

// Settings are the settings as they are.
func (s *Sandbox) Settings() Settings {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.settings
	now.RateLimits = maps.Clone(now.RateLimits)
	return now
}

// SetSettings replaces the settings. Refunds that are under way keep their end. Errors are of values that make no sense.
func (s *Sandbox) SetSettings(to Settings) error {
	if err := to.check(); err != nil {
		return err
	}
	to.RateLimits = maps.Clone(to.RateLimits)
	s.mu.Lock()
	s.settings = to
	s.save(kindSettings, to)
	s.mu.Unlock()
	s.record(Entry{Kind: "fault", Name: "settings.changed", Summary: string(encode(to))})
	return s.settled()
}

// limit is the operation's name in RateLimits.
func (o *operation) limit() string {
	if o.limitName != "" {
		return o.limitName
	}
	return o.name
}

// spent counts the calls of a second.
type spent struct {
	second int64
	calls  map[[2]string]int // by operation and merchant
}

// spend counts a call and tells whether it was beyond the limit.
func (s *Sandbox) spend(c *call) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.settings.RateLimits) == 0 {
		return false
	}
	if c.op.name == "v3.refund" {
		if most, ok := s.settings.RateLimits[failingRefunds]; ok && s.spentIn()[[2]string{failingRefunds, c.merchant.ID}] >= most {
			return true
		}
	}
	return s.count(c.op.limit(), c.merchant.ID)
}

// count counts one and tells whether it was beyond the limit. mu is held.
func (s *Sandbox) count(name, merchantID string) bool {
	most, ok := s.settings.RateLimits[name]
	if !ok {
		return false
	}
	key := [2]string{name, merchantID}
	s.spentIn()[key]++
	return s.spent.calls[key] > most
}

// spentIn are the counts of this second. mu is held.
func (s *Sandbox) spentIn() map[[2]string]int {
	if second := s.clock().Unix(); s.spent.calls == nil || s.spent.second != second {
		s.spent = spent{second, map[[2]string]int{}}
	}
	return s.spent.calls
}
