package keyward_test

import (
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	keyward "github.com/keyward/keyward/bindings/go"
)

func TestZeroVerdictDenies(t *testing.T) {
	var verdict keyward.Verdict
	if verdict.Allowed() || verdict.Reason() != keyward.ReasonNone || verdict.KeyID() != "" || verdict.Err() == nil {
		t.Errorf("%v", verdict)
	}
	if text := verdict.String(); text != "deny none" {
		t.Error(text)
	}
	answer, err := shopFiles(t).open(t, nil).Answer("shop", verdict)
	if err != nil || answer.Status != http.StatusServiceUnavailable {
		t.Errorf("%+v, %v", answer, err)
	}
}

func TestVerdictTellsWho(t *testing.T) {
	engine := shopFiles(t).open(t, nil)
	verdict, err := engine.Verify(typical("GET", "/orders?page=2", readerKey), "shop")
	if err != nil || !verdict.Allowed() || verdict.Err() != nil || verdict.Reason() != keyward.ReasonOK {
		t.Fatalf("%v, %v", verdict, err)
	}
	if verdict.KeyID() != "reader" || verdict.Tenant() != "acme" || verdict.Environment() != "live" || verdict.Generation() != 1 {
		t.Errorf("%q %q %q", verdict.KeyID(), verdict.Tenant(), verdict.Environment())
	}
	if subject, known := verdict.Subject(); known || subject != "" {
		t.Errorf("%q", subject)
	}
	if text := verdict.String(); text != "allow, key reader" {
		t.Error(text)
	}
	refused, err := engine.Verify(typical("POST", "/orders", readerKey), "shop")
	if err != nil || refused.Allowed() || refused.Scope() != "orders:write" || refused.KeyID() != "reader" {
		t.Fatalf("%v, %v", refused, err)
	}
	var denied *keyward.DeniedError
	if err := refused.Err(); !errors.Is(err, keyward.ErrDenied) || !errors.As(err, &denied) ||
		denied.Reason != keyward.ReasonInsufficientScope || !strings.Contains(err.Error(), "insufficient_scope") {
		t.Error(err)
	}
}

// TestLongNames: texts that do not fit into a Verdict are allocated, and are not cut.
func TestLongNames(t *testing.T) {
	id, tenant := strings.Repeat("k", 255), strings.Repeat("t", 512)
	scope := strings.Repeat("s", 1000)
	config := shop + "[[realm.files.route]]\npath = \"/scoped\"\nscopes = [\"" + scope + "\"]\n" +
		"[[realm.files.route]]\npath = \"/\"\n"
	f := newFiles(t, config, pepper+hubKey, `{"realm":"files","id":"`+id+`","key":"a-long-name-0123456789","tenant":"`+tenant+`"}`+"\n").mustBuild(t)
	engine := f.open(t, nil)
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-Api-Key", "a-long-name-0123456789")
	verdict, err := engine.Verify(r, "files")
	if err != nil || !verdict.Allowed() || verdict.KeyID() != id || verdict.Tenant() != tenant {
		t.Errorf("%v, %v", verdict, err)
	}
	r = httptest.NewRequest("GET", "/scoped", nil)
	r.Header.Set("X-Api-Key", "a-long-name-0123456789")
	verdict, err = engine.Verify(r, "files")
	if err != nil || verdict.Allowed() || verdict.Scope() != scope || verdict.KeyID() != id {
		t.Errorf("%v, %v", verdict, err)
	}
}

func TestWrongUse(t *testing.T) {
	engine := shopFiles(t).open(t, nil)
	good := typical("GET", "/orders", readerKey)
	for name, one := range map[string]struct {
		r       *http.Request
		realm   string
		options []keyward.Option
		want    error
	}{
		"no request":                   {nil, "shop", nil, keyward.ErrNoRequest},
		"a realm that is not UTF-8":    {good, "\xff", nil, keyward.ErrUTF8},
		"a scope that is not UTF-8":    {good, "shop", []keyward.Option{keyward.WithScopes("\xff")}, keyward.ErrUTF8},
		"an environment that is not":   {good, "shop", []keyward.Option{keyward.WithEnvironment("\xff")}, keyward.ErrUTF8},
		"a time before all time":       {good, "shop", []keyward.Option{keyward.WithTime(time.Time{})}, keyward.ErrValue},
		"a clock that is before that":  {good, "shop", []keyward.Option{keyward.WithClock(func() time.Time { return time.Unix(-1, 0) })}, keyward.ErrValue},
		"no request, with some option": {nil, "shop", []keyward.Option{keyward.WithTLS(true)}, keyward.ErrNoRequest},
	} {
		verdict, err := engine.Verify(one.r, one.realm, one.options...)
		if verdict != (keyward.Verdict{}) || !errors.Is(err, one.want) {
			t.Errorf("%s: %v, %v", name, verdict, err)
		}
	}
	if verdict, err := engine.VerifyRequest(nil, "shop"); verdict.Allowed() || !errors.Is(err, keyward.ErrNoRequest) {
		t.Errorf("%v, %v", verdict, err)
	}
	if verdict, err := engine.VerifyKey("hub", "key"); verdict.Allowed() || !errors.Is(err, keyward.ErrNotAKey) {
		t.Errorf("%v, %v", verdict, err)
	}
	// What there is not is no wrong use: nothing can be decided about it.
	if verdict, err := engine.Verify(good, "nobody's"); err != nil || !verdict.Unavailable() || verdict.Allowed() {
		t.Errorf("%v, %v", verdict, err)
	}
	if verdict, err := engine.Verify(&http.Request{}, "shop"); err != nil || verdict.Reason() != keyward.ReasonAmbiguousPath {
		t.Errorf("%v, %v", verdict, err)
	}
	// The zero Option says nothing.
	if verdict, err := engine.Verify(good, "shop", keyward.Option{}); err != nil || !verdict.Allowed() {
		t.Errorf("%v, %v", verdict, err)
	}
	for want, err := range map[error]error{
		nil:                      engine.CheckRealm("shop"),
		keyward.ErrNoRealm:       engine.CheckRealm("nobody's"),
		keyward.ErrNoEnvironment: engine.CheckEnvironment("shop", "moon"),
		keyward.ErrUTF8:          engine.CheckRealm("\xff"),
	} {
		if !errors.Is(err, want) {
			t.Errorf("%v is not %v", err, want)
		}
	}
	if err := engine.CheckEnvironment("shop", "live"); err != nil {
		t.Error(err)
	}
}

func reason(t *testing.T, engine *keyward.Engine, r *http.Request, realm string, options ...keyward.Option) keyward.Reason {
	t.Helper()
	verdict, err := engine.Verify(r, realm, options...)
	if err != nil {
		t.Fatal(err)
	}
	return verdict.Reason()
}

func TestOptionsOfARequest(t *testing.T) {
	engine := shopFiles(t).open(t, nil)
	with := func(options ...keyward.Option) keyward.Reason {
		return reason(t, engine, typical("GET", "/orders", readerKey), "shop", options...)
	}
	for name, one := range map[string]struct{ found, want keyward.Reason }{
		"none":                  {with(), keyward.ReasonOK},
		"environment":           {with(keyward.WithEnvironment("live")), keyward.ReasonOK},
		"another environment":   {with(keyward.WithEnvironment("test")), keyward.ReasonWrongEnvironment},
		"the empty environment": {with(keyward.WithEnvironment("")), keyward.ReasonWrongEnvironment},
		"scopes":                {with(keyward.WithScopes("orders:read")), keyward.ReasonOK},
		"scopes it lacks":       {with(keyward.WithScopes("orders:read", "orders:write")), keyward.ReasonInsufficientScope},
		"another route":         {with(keyward.WithRoute("POST", "/orders")), keyward.ReasonInsufficientScope},
		"no such route":         {with(keyward.WithRoute("GET", "/nothing")), keyward.ReasonRouteNotAllowed},
		"an empty route":        {with(keyward.WithRoute("GET", "")), keyward.ReasonAmbiguousPath},
		"no routes":             {with(keyward.WithRoute("GET", "/nothing"), keyward.WithoutRoutes()), keyward.ReasonOK},
		"the last one counts":   {with(keyward.WithEnvironment("test"), keyward.WithEnvironment("live")), keyward.ReasonOK},
	} {
		if one.found != one.want {
			t.Errorf("%s: %v is not %v", name, one.found, one.want)
		}
	}
}

// TestTLSAndPeer: the office wants TLS and an address that its key names.
func TestTLSAndPeer(t *testing.T) {
	engine := shopFiles(t).open(t, nil)
	forwarded := func(r *http.Request) bool { return r.Header.Get("X-Forwarded-Proto") == "https" }
	at := func(remote string, change func(*http.Request), options ...keyward.Option) keyward.Reason {
		r := typical("GET", "/", "desk-0123456789abcdef0123")
		r.RemoteAddr = remote
		if change != nil {
			change(r)
		}
		return reason(t, engine, r, "office", append([]keyward.Option{keyward.WithTLS(true)}, options...)...)
	}
	proto := func(r *http.Request) { r.Header.Set("X-Forwarded-Proto", "https") }
	client := func(r *http.Request) { r.Header.Set("X-Forwarded-For", "203.0.113.9") }
	unix := func(r *http.Request) {
		client(r)
		*r = *r.WithContext(contextWith(r, http.LocalAddrContextKey, &net.UnixAddr{Name: "/run/server.sock", Net: "unix"}))
	}
	for name, one := range map[string]struct{ found, want keyward.Reason }{
		"TLS":                              {at("203.0.113.7:1", nil), keyward.ReasonOK},
		"no TLS":                           {at("203.0.113.7:1", nil, keyward.WithTLS(false)), keyward.ReasonTLSRequired},
		"TLS as a function says":           {at("203.0.113.7:1", proto, keyward.WithTLSFrom(forwarded)), keyward.ReasonOK},
		"no TLS as a function says":        {at("203.0.113.7:1", nil, keyward.WithTLSFrom(forwarded)), keyward.ReasonTLSRequired},
		"another address":                  {at("198.51.100.7:1", nil), keyward.ReasonIPNotAllowed},
		"mapped":                           {at("[::ffff:203.0.113.7]:1", nil), keyward.ReasonOK},
		"IPv6":                             {at("[2001:db8::1]:1", nil), keyward.ReasonIPNotAllowed},
		"without a port":                   {at("203.0.113.7", nil), keyward.ReasonOK},
		"mapped, without a port":           {at("::ffff:203.0.113.7", nil), keyward.ReasonOK},
		"nonsense":                         {at("[", nil), keyward.ReasonIPNotAllowed},
		"more nonsense":                    {at("]:", nil), keyward.ReasonIPNotAllowed},
		"a colon":                          {at(":", nil), keyward.ReasonIPNotAllowed},
		"nothing":                          {at("", nil), keyward.ReasonIPNotAllowed},
		"a proxy":                          {at("10.1.2.3:1", client), keyward.ReasonOK},
		"no proxy of ours":                 {at("192.0.2.1:1", client), keyward.ReasonIPNotAllowed},
		"a Unix socket is trusted":         {at("@", unix), keyward.ReasonOK},
		"its name does not matter":         {at("", unix), keyward.ReasonOK},
		"only the server says so":          {at("@", client), keyward.ReasonIPNotAllowed},
		"not what a header was copied to":  {at("unix:", client), keyward.ReasonIPNotAllowed},
		"nor with a port":                  {at("unix::1", client), keyward.ReasonIPNotAllowed},
		"nor in brackets":                  {at("[unix:]:1", client), keyward.ReasonIPNotAllowed},
		"the caller may say so":            {at("", client, keyward.WithPeer("unix:")), keyward.ReasonOK},
		"and say another address":          {at("198.51.100.7:1", nil, keyward.WithPeer("203.0.113.1")), keyward.ReasonOK},
		"and an address that there is not": {at("203.0.113.7:1", nil, keyward.WithPeer("nobody")), keyward.ReasonIPNotAllowed},
	} {
		if one.found != one.want {
			t.Errorf("%s: %v is not %v", name, one.found, one.want)
		}
	}
}

// TestTarget: what is decided about is what the client sent.
func TestTarget(t *testing.T) {
	engine := shopFiles(t).open(t, nil)
	for sent, want := range map[string]keyward.Reason{
		"/orders":                          keyward.ReasonOK,
		"/orders?a=/../b":                  keyward.ReasonOK,
		"/files/a%20b":                     keyward.ReasonOK,
		"/files/a%2Fb":                     keyward.ReasonAmbiguousPath,
		"//orders":                         keyward.ReasonAmbiguousPath,
		"/files/../orders":                 keyward.ReasonAmbiguousPath,
		"http://api.example.com/orders?a":  keyward.ReasonOK,
		"http://api.example.com//orders":   keyward.ReasonAmbiguousPath,
		"http://api.example.com?/orders":   keyward.ReasonRouteNotAllowed,
		"http://api.example.com":           keyward.ReasonRouteNotAllowed,
		"http://api.example.com#/orders":   keyward.ReasonAmbiguousPath,
		"HTTPS://user@host:443/files/name": keyward.ReasonOK,
		"api.example.com:443":              keyward.ReasonAmbiguousPath,
		"*":                                keyward.ReasonAmbiguousPath,
		"orders":                           keyward.ReasonAmbiguousPath,
		"?a://b/orders":                    keyward.ReasonAmbiguousPath,
		"://host/orders":                   keyward.ReasonAmbiguousPath,
	} {
		r := typical("GET", "/", readerKey)
		r.RequestURI = sent
		// Whatever middleware made of it.
		r.URL = &url.URL{Path: "/orders"}
		if found := reason(t, engine, r, "shop"); found != want {
			t.Errorf("%s: %v is not %v", sent, found, want)
		}
	}
	// A request that no server received.
	made, err := http.NewRequest("GET", "https://api.example.com/files/a%20b?c", nil)
	if err != nil {
		t.Fatal(err)
	}
	made.Header.Set("Authorization", "Bearer "+readerKey)
	if found := reason(t, engine, made, "shop"); found != keyward.ReasonOK {
		t.Error(found)
	}
}

// TestHeaders: net/http keeps repeated headers apart, and names that differ in '-' and '_'.
func TestHeaders(t *testing.T) {
	engine := shopFiles(t).open(t, nil)
	for name, one := range map[string]struct {
		headers http.Header
		realm   string
		want    keyward.Reason
	}{
		"one":                 {http.Header{"X-Api-Key": {"archive-0123456789abcdef"}}, "files", keyward.ReasonOK},
		"a name in any case":  {http.Header{"x-aPI-key": {"archive-0123456789abcdef"}}, "files", keyward.ReasonOK},
		"spaces around it":    {http.Header{"X-Api-Key": {" archive-0123456789abcdef\t"}}, "files", keyward.ReasonOK},
		"twice":               {http.Header{"X-Api-Key": {"archive-0123456789abcdef", "archive-0123456789abcdef"}}, "files", keyward.ReasonAmbiguousCredential},
		"in two cases":        {http.Header{"X-Api-Key": {"archive-0123456789abcdef"}, "x-api-key": {"a"}}, "files", keyward.ReasonAmbiguousCredential},
		"an alias":            {http.Header{"X-Api-Key": {"archive-0123456789abcdef"}, "X_api_key": {"a"}}, "files", keyward.ReasonAmbiguousCredential},
		"another":             {http.Header{"X.api-Key": {"archive-0123456789abcdef"}}, "files", keyward.ReasonAmbiguousCredential},
		"a name without any":  {http.Header{"X-Api-Key": nil}, "files", keyward.ReasonMissingCredential},
		"an empty value":      {http.Header{"X-Api-Key": {""}}, "files", keyward.ReasonMalformedCredential},
		"empty names as well": {http.Header{"": {""}, "X-Api-Key": {"archive-0123456789abcdef"}}, "files", keyward.ReasonOK},
		"no headers":          {nil, "files", keyward.ReasonMissingCredential},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header = one.headers
		if found := reason(t, engine, r, one.realm); found != one.want {
			t.Errorf("%s: %v is not %v", name, found, one.want)
		}
	}
	// More than stand on C's stack, and more than is kept for the next request.
	for _, count := range []int{31, 32, 33, 1000, 20000} {
		r := httptest.NewRequest("GET", "/", nil)
		for n := 0; n < count; n++ {
			r.Header.Add("X-Filler", strings.Repeat("f", n%100))
		}
		r.Header.Set("X-Api-Key", "archive-0123456789abcdef")
		if found := reason(t, engine, r, "files", keyward.WithScopes()); found != keyward.ReasonOK {
			t.Errorf("%d headers: %v", count, found)
		}
	}
}

func TestRateLimit(t *testing.T) {
	engine := shopFiles(t).open(t, nil)
	at := time.Unix(1764000000, 0)
	first, err := engine.VerifyKey("shop", narrowKey, keyward.WithTime(at))
	if err != nil || !first.Allowed() {
		t.Fatal(first, err)
	}
	second, err := engine.VerifyKey("shop", narrowKey, keyward.WithTime(at.Add(time.Second)))
	if err != nil || second.Reason() != keyward.ReasonRateLimited || second.RetryAfter() != 3599*time.Second {
		t.Fatal(second, second.RetryAfter(), err)
	}
	answer, err := engine.Answer("shop", second)
	if err != nil || answer.Status != http.StatusTooManyRequests || answer.Header.Get("Retry-After") != "3599" {
		t.Errorf("%+v, %v", answer, err)
	}
}

func TestReasonNames(t *testing.T) {
	seen := map[string]bool{}
	for reason := keyward.ReasonOK; reason <= keyward.ReasonRateLimited; reason++ {
		if name := reason.String(); name != keyward.NameOfReason(reason) || seen[name] {
			t.Errorf("%d: %q is %q in the library", reason, name, keyward.NameOfReason(reason))
		} else {
			seen[name] = true
		}
	}
	if next := keyward.NameOfReason(keyward.ReasonRateLimited + 1); next != "unknown" {
		t.Errorf("there is no constant for %q", next)
	}
	if name := keyward.Reason(4000000000).String(); name != "unknown" {
		t.Error(name)
	}
	if version := keyward.LibraryVersion(); version == "" {
		t.Error("no version")
	}
}

// TestManyHeaders: more headers than C's stack and the pool's memory have room for are all read, repeats in their order, and
// scopes behind them.
func TestManyHeaders(t *testing.T) {
	engine := shopFiles(t).open(t, nil)
	for _, count := range []int{0, 1, 27, 28, 29, 40, 1000} {
		for _, length := range []int{0, 40, 100_000 / (count + 1)} {
			r := typical("GET", "/orders", readerKey)
			other := &keyward.Request{Target: "/orders", Host: r.Host, Peer: "203.0.113.7"}
			for i := 0; i < count; i++ {
				r.Header.Add("X-Many-"+strconv.Itoa(i%7), strings.Repeat("v", length))
			}
			for name, values := range r.Header {
				for _, value := range values {
					other.Headers = append(other.Headers, keyward.Header{Name: name, Value: value})
				}
			}
			for scope, want := range map[string]keyward.Reason{"orders:read": keyward.ReasonOK, "moon": keyward.ReasonInsufficientScope} {
				verdict, err := engine.Verify(r, "shop", keyward.WithScopes("orders:read", scope))
				if err != nil || verdict.Reason() != want {
					t.Fatal(count, length, verdict, err)
				}
				if again, err := engine.VerifyRequest(other, "shop", keyward.WithScopes("orders:read", scope)); err != nil || again != verdict {
					t.Fatal(count, length, again, verdict, err)
				}
			}
			if verdict, err := engine.Verify(r, "shop"); err != nil || !verdict.Allowed() {
				t.Fatal(count, length, verdict, err)
			}
			// A second credential anywhere in it is seen.
			r.Header.Add("Authorization", "Bearer "+narrowKey)
			if verdict, err := engine.Verify(r, "shop"); err != nil || verdict.Reason() != keyward.ReasonAmbiguousCredential {
				t.Fatal(count, length, verdict, err)
			}
		}
	}
}

// TestNoAllocation: an allowed request allocates nothing.
func TestNoAllocation(t *testing.T) {
	if !keyward.NothingEscapes {
		t.Log("this Go does not know #cgo noescape: what is handed to C is allocated")
		return
	}
	if raceDetector {
		t.Log("the race detector allocates, and so does sync.Pool under it")
		return
	}
	engine := shopFiles(t).open(t, nil)
	typical, browser := typical("GET", "/orders", readerKey), browser("GET", "/orders", readerKey)
	for name, verify := range map[string]func() (keyward.Verdict, error){
		"VerifyKey": func() (keyward.Verdict, error) { return engine.VerifyKey("shop", readerKey) },
		"VerifyKey with": func() (keyward.Verdict, error) {
			return engine.VerifyKey("shop", readerKey, keyward.WithScopes("orders:read"))
		},
		"Verify":       func() (keyward.Verdict, error) { return engine.Verify(typical, "shop") },
		"Verify, more": func() (keyward.Verdict, error) { return engine.Verify(browser, "shop") },
		"Verify with": func() (keyward.Verdict, error) {
			return engine.Verify(typical, "shop", keyward.WithEnvironment("live"), keyward.WithScopes("orders:read"), keyward.WithPeer("203.0.113.1"))
		},
		"VerifyKey that lists": func() (keyward.Verdict, error) {
			return engine.VerifyKey("shop", readerKey, keyward.WithListedScopes())
		},
		"Verify that lists": func() (keyward.Verdict, error) {
			return engine.Verify(typical, "shop", keyward.WithListedScopes())
		},
	} {
		average := testing.AllocsPerRun(1000, func() {
			if verdict, err := verify(); err != nil || !verdict.Allowed() {
				t.Fatal(verdict, err)
			}
		})
		if average != 0 {
			t.Errorf("%s: %v allocations", name, average)
		}
	}
}
