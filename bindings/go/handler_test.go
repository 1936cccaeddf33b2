package keyward_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	keyward "github.com/keyward/keyward/bindings/go"
)

func contextWith(r *http.Request, key, value any) context.Context {
	return context.WithValue(r.Context(), key, value)
}

// echo answers with who asks.
var echo = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	verdict, known := keyward.FromContext(r.Context())
	fmt.Fprintf(w, "%s %s %s %q %v %v", keyward.KeyID(r.Context()), keyward.Tenant(r.Context()), keyward.Environment(r.Context()),
		keyward.Subject(r.Context()), known, verdict.Allowed())
})

func ask(t *testing.T, handler http.Handler, method, path, key string) *http.Response {
	t.Helper()
	server := httptest.NewServer(handler)
	defer server.Close()
	r, err := http.NewRequest(method, server.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	response, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	return response
}

func body(t *testing.T, response *http.Response) string {
	t.Helper()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	_ = response.Body.Close()
	return string(text)
}

func TestHandler(t *testing.T) {
	engine := shopFiles(t).open(t, nil)
	handler := keyward.Handler(engine, "shop")(echo)
	response := ask(t, handler, "GET", "/orders", readerKey)
	if text := body(t, response); response.StatusCode != 200 || text != `reader acme live "" true true` {
		t.Errorf("%s %s", response.Status, text)
	}
	response = ask(t, handler, "GET", "/health", "")
	if text := body(t, response); response.StatusCode != 200 || text != `   "" true true` {
		t.Errorf("%s %s", response.Status, text)
	}
	for name, one := range map[string]struct {
		method, path, key string
		status            int
		contentType       string
		body              string
		challenge         string
	}{
		"no key": {"GET", "/orders", "", 401, "application/problem+json",
			`{"type":"about:blank","title":"Unauthorized","status":401}`, `Bearer realm="Shop"`},
		"an unknown key": {"GET", "/orders", "sk_live_ffffffffffffffff", 401, "application/problem+json",
			`{"type":"about:blank","title":"Unauthorized","status":401}`, `Bearer realm="Shop", error="invalid_token"`},
		"a missing scope": {"POST", "/orders", readerKey, 403, "application/json", `{"missing":"orders:write"}`,
			`Bearer realm="Shop", error="insufficient_scope", scope="orders:write"`},
		"suspended": {"GET", "/orders", heldKey, 403, "application/problem+json",
			`{"type":"about:blank","title":"Forbidden","status":403}`, ""},
		"a path of two readings": {"GET", "/files/a%2Fb", readerKey, 400, "application/problem+json",
			`{"type":"about:blank","title":"Bad Request","status":400}`, ""},
		"HEAD": {"HEAD", "/orders", "", 401, "application/problem+json", "", `Bearer realm="Shop"`},
	} {
		response := ask(t, handler, one.method, one.path, one.key)
		text := body(t, response)
		if response.StatusCode != one.status || response.Header.Get("Content-Type") != one.contentType || text != one.body ||
			response.Header.Get("WWW-Authenticate") != one.challenge {
			t.Errorf("%s: %s %v %s", name, response.Status, response.Header, text)
		}
		if length := response.ContentLength; one.method != "HEAD" && length != int64(len(text)) || length <= 0 {
			t.Errorf("%s: a length of %d", name, length)
		}
	}
}

func TestHandlerOptions(t *testing.T) {
	engine := shopFiles(t).open(t, nil)
	var said []string
	report := keyward.WithReport(func(r *http.Request, verdict keyward.Verdict, err error) {
		said = append(said, fmt.Sprintf("%s %v %v", r.URL.Path, verdict, err))
	})
	handler := keyward.Handler(engine, "shop", report, keyward.WithEnvironment("test"))(echo)
	if response := ask(t, handler, "GET", "/orders", testerKey); response.StatusCode != 200 {
		t.Error(response.Status)
	}
	if response := ask(t, handler, "GET", "/orders", readerKey); response.StatusCode != 401 {
		t.Error(response.Status)
	}
	_ = engine.Close()
	response := ask(t, handler, "GET", "/orders", testerKey)
	if text := body(t, response); response.StatusCode != 503 || text != `{"type":"about:blank","title":"Service Unavailable","status":503}` ||
		response.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("%s %s", response.Status, text)
	}
	if text := strings.Join(said, "\n"); text != "/orders allow, key tester <nil>\n/orders deny wrong_environment <nil>\n"+
		"/orders deny none keyward: verify: the engine is closed" {
		t.Error(text)
	}
}

func TestHandlerWithoutEngine(t *testing.T) {
	for _, engine := range []*keyward.Engine{nil, {}} {
		if response := ask(t, keyward.Handler(engine, "shop")(echo), "GET", "/health", ""); response.StatusCode != 503 {
			t.Error(response.Status)
		}
	}
}

func TestHiddenCredentials(t *testing.T) {
	engine := shopFiles(t).open(t, nil)
	var seen http.Header
	handler := keyward.Handler(engine, "files", keyward.WithHiddenCredentials())(http.HandlerFunc(
		func(_ http.ResponseWriter, r *http.Request) { seen = r.Header }))
	r := httptest.NewRequest("GET", "/", nil)
	r.Header = http.Header{"X-Api-Key": {"archive-0123456789abcdef"}, "Authorization": {"Bearer other"}, "Accept": {"*/*"}}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	if w.Code != 200 || len(seen) != 2 || seen.Get("Authorization") == "" || seen.Get("Accept") == "" {
		t.Errorf("%d %v", w.Code, seen)
	}
	if r.Header.Get("X-Api-Key") == "" {
		t.Error("the request of who called was changed")
	}
	public := keyward.Handler(engine, "hub", keyward.WithHiddenCredentials())(http.HandlerFunc(
		func(_ http.ResponseWriter, r *http.Request) { seen = r.Header }))
	r = httptest.NewRequest("GET", "/open", nil)
	r.Header = http.Header{"Authorization": {"Bearer other"}, "authorization": {"a"}, "X-Other": {"b"}}
	public.ServeHTTP(httptest.NewRecorder(), r)
	if len(seen) != 1 || seen.Get("X-Other") != "b" {
		t.Errorf("%v", seen)
	}
}

func TestFromContextWithout(t *testing.T) {
	verdict, known := keyward.FromContext(context.Background())
	if known || verdict.Allowed() || keyward.KeyID(context.Background()) != "" || keyward.Tenant(context.Background()) != "" ||
		keyward.Environment(context.Background()) != "" || keyward.Subject(context.Background()) != "" {
		t.Error(verdict, known)
	}
}

func TestTokens(t *testing.T) {
	engine := shopFiles(t).open(t, nil)
	login := func(user, password string) *http.Request {
		r := httptest.NewRequest("POST", "/login", nil)
		r.SetBasicAuth(user, password)
		return r
	}
	token, verdict, err := engine.IssueToken(login("app", "app-secret-0123456789"), "hub", &keyward.TokenOptions{Subject: "somebody"})
	if err != nil || !verdict.Allowed() || verdict.KeyID() != "app" || strings.Count(token, ".") != 2 {
		t.Fatal(token, verdict, err)
	}
	verdict, err = engine.Verify(typical("GET", "/things", token), "hub")
	if subject, known := verdict.Subject(); err != nil || !verdict.Allowed() || !known || subject != "somebody" ||
		verdict.KeyID() != "app" || verdict.Tenant() != "acme" {
		t.Error(verdict, subject, err)
	}
	response := ask(t, keyward.Handler(engine, "hub")(echo), "GET", "/things", token)
	if text := body(t, response); text != `app acme  "somebody" true true` {
		t.Error(text)
	}
	token, verdict, err = engine.IssueToken(login("app", "wrong"), "hub", nil)
	var denied *keyward.DeniedError
	if token != "" || verdict.Allowed() || !errors.As(err, &denied) || denied.Reason != keyward.ReasonUnknownKey || !errors.Is(err, keyward.ErrDenied) {
		t.Error(token, verdict, err)
	}
	if answer, err := engine.Answer("hub", verdict); err != nil || answer.Status != 401 {
		t.Error(answer, err)
	}
	// A public route has no key to bind a token to.
	token, verdict, err = engine.IssueToken(httptest.NewRequest("GET", "/open", nil), "hub", nil)
	if token != "" || !errors.Is(err, keyward.ErrDenied) || errors.As(err, &denied) || !verdict.Allowed() {
		t.Error(token, verdict, err)
	}
	for _, options := range []*keyward.TokenOptions{{Kid: "none"}, {Credential: "none"}} {
		token, verdict, err = engine.IssueToken(login("app", "app-secret-0123456789"), "hub", options)
		if token != "" || verdict.Allowed() || !errors.Is(err, keyward.ErrToken) {
			t.Error(token, verdict, err)
		}
	}
	if _, _, err = engine.IssueToken(nil, "hub", nil); !errors.Is(err, keyward.ErrNoRequest) {
		t.Error(err)
	}
}
