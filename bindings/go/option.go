package keyward

import (
	"net/http"
	"time"
)

// Option says more about a request than the request itself does. Options are values, and making one allocates
// nothing. Where two say the same, the last one counts.
type Option struct {
	kind  optionKind
	is    bool
	text  string
	more  string
	list  []string
	time  time.Time
	clock func() time.Time
	tls   func(*http.Request) bool
	tell  func(*http.Request, Verdict, error)
}

type optionKind uint8

const (
	optionEnvironment optionKind = iota + 1
	optionScopes
	optionTLS
	optionTLSOf
	optionUnrouted
	optionRoute
	optionHost
	optionPeer
	optionTime
	optionClock
	optionReport
	optionHide
	optionListScopes
)

// WithEnvironment says of which environment keys must be. Without it the realm's hosts say. An environment that the
// realm does not have, the empty one too, is that of no key, so that everything is refused.
func WithEnvironment(name string) Option { return Option{kind: optionEnvironment, text: name} }

// WithScopes names scopes that are needed besides those of the realm's route.
func WithScopes(scopes ...string) Option { return Option{kind: optionScopes, list: scopes} }

// WithListedScopes has the verdict keep all scopes of the key, for [Verdict.Scopes].
func WithListedScopes() Option { return Option{kind: optionListScopes} }

// WithTLS says whether the request came over TLS. Without it the request says: r.TLS.
func WithTLS(is bool) Option { return Option{kind: optionTLS, is: is} }

// WithTLSFrom asks is whether a request came over TLS: for servers behind a proxy that ends TLS. Mind that clients
// can send X-Forwarded-Proto, too; look at it only in requests that come from your proxy.
func WithTLSFrom(is func(*http.Request) bool) Option { return Option{kind: optionTLSOf, tls: is} }

// WithoutRoutes leaves the realm's routes out: what the realm requires by default counts, and [WithScopes].
func WithoutRoutes() Option { return Option{kind: optionUnrouted} }

// WithRoute says which method and path to decide about. The path is still escaped, as in a request line. Without it
// they are the request's, and [Engine.VerifyKey] has none.
func WithRoute(method, path string) Option {
	return Option{kind: optionRoute, text: method, more: path}
}

// WithHost says what the client asked for as host. Without it the request says: r.Host.
func WithHost(host string) Option { return Option{kind: optionHost, text: host} }

// WithPeer says what the other end of the connection is: an IP address without a port, or "unix:". Anything else is
// nobody known, who is in no list. Without it the request says: r.RemoteAddr.
func WithPeer(address string) Option { return Option{kind: optionPeer, text: address} }

// WithTime is the time to decide at. Without it the system's clock is read.
func WithTime(now time.Time) Option { return Option{kind: optionTime, time: now} }

// WithClock asks clock for the time to decide at, for tests of a [Handler].
func WithClock(clock func() time.Time) Option { return Option{kind: optionClock, clock: clock} }

// WithReport has a [Handler] tell each decision, with the request that it is about, before the request goes on or is
// answered: for logs and metrics. The error is that of a call that could not decide, which denies.
func WithReport(tell func(*http.Request, Verdict, error)) Option {
	return Option{kind: optionReport, tell: tell}
}

// WithHiddenCredentials has a [Handler] take the headers out of the request that the realm reads credentials from, and
// every header that is read as one of them once '-', '_' and '.' are the same. For what passes requests on to others.
func WithHiddenCredentials() Option { return Option{kind: optionHide} }

// settings is what a call's options come to.
type settings struct {
	// Whether there is more to say than the request says itself.
	saysMore       bool
	environment    string
	hasEnvironment bool
	unrouted       bool
	routed         bool
	hasTLS         bool
	tls            bool
	hasPeer        bool
	hasHost        bool
	hasTime        bool
	hide           bool
	listScopes     bool
	scopes         []string
	tlsOf          func(*http.Request) bool
	method         string
	path           string
	host           string
	peer           string
	time           time.Time
	clock          func() time.Time
	report         func(*http.Request, Verdict, error)
}

// settingsOf goes by value for the reason that received does.
func settingsOf(options []Option) (s settings) {
	for i := range options {
		o := &options[i]
		switch o.kind {
		case optionEnvironment:
			s.environment, s.hasEnvironment = o.text, true
		case optionScopes:
			s.scopes = o.list
		case optionTLS:
			s.tls, s.hasTLS, s.tlsOf = o.is, true, nil
		case optionTLSOf:
			s.tlsOf, s.hasTLS = o.tls, false
		case optionUnrouted:
			s.unrouted, s.routed = true, false
		case optionRoute:
			s.method, s.path, s.routed, s.unrouted = o.text, o.more, true, false
		case optionHost:
			s.host, s.hasHost = o.text, true
		case optionPeer:
			s.peer, s.hasPeer = o.text, true
		case optionTime:
			s.time, s.hasTime, s.clock = o.time, true, nil
		case optionClock:
			s.clock, s.hasTime = o.clock, false
		case optionReport:
			s.report = o.tell
		case optionHide:
			s.hide = true
		case optionListScopes:
			s.listScopes = true
		}
		s.saysMore = s.saysMore || o.kind != optionReport && o.kind != optionHide
	}
	return s
}

func (s *settings) now() (time.Time, bool) {
	if s.clock != nil {
		return s.clock(), true
	}
	return s.time, s.hasTime
}
