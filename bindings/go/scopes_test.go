package keyward_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sort"
	"strings"
	"testing"

	keyward "github.com/keyward/keyward/bindings/go"
)

// TestScopes: all scopes of the key are listed where the call asks for them, and stay.
func TestScopes(t *testing.T) {
	f := shopFiles(t)
	engine := f.open(t, nil)
	listed := keyward.WithListedScopes()
	verified := func(key, method string, options ...keyward.Option) keyward.Verdict {
		t.Helper()
		verdict, err := engine.Verify(typical(method, "/orders", key), "shop", options...)
		if err != nil {
			t.Fatal(err)
		}
		return verdict
	}
	byKey, err := engine.VerifyKey("shop", testerKey, listed)
	if err != nil {
		t.Fatal(err)
	}
	request := keyward.Request{Target: "/orders", Headers: []keyward.Header{{Name: "Authorization", Value: "Bearer " + testerKey}}}
	elsewhere, err := engine.VerifyRequest(&request, "shop", listed)
	if err != nil {
		t.Fatal(err)
	}
	for name, one := range map[string]struct {
		verdict        keyward.Verdict
		allowed, known bool
		want           string
	}{
		"nothing decided":     {keyward.Verdict{}, false, false, ""},
		"not asked for":       {verified(testerKey, "GET"), true, false, ""},
		"Verify":              {verified(testerKey, "GET", listed), true, true, "orders:read orders:write"},
		"VerifyRequest":       {elsewhere, true, true, "orders:read orders:write"},
		"VerifyKey":           {byKey, true, true, "orders:read orders:write"},
		"one":                 {verified(readerKey, "GET", listed), true, true, "orders:read"},
		"one, another lacks":  {verified(readerKey, "POST", listed), false, true, "orders:read"},
		"a key nobody has":    {verified("sk_live_ffffffffffffffff", "GET", listed), false, true, ""},
		"nobody's, not asked": {verified("sk_live_ffffffffffffffff", "GET"), false, false, ""},
	} {
		scopes, known := one.verdict.Scopes()
		sort.Strings(scopes)
		if one.verdict.Allowed() != one.allowed || known != one.known || strings.Join(scopes, " ") != one.want || (one.want == "") != (scopes == nil) {
			t.Errorf("%s: %v %q %v", name, one.verdict, scopes, known)
		}
	}
	// Each slice is the caller's own, and what was decided stays.
	first, _ := byKey.Scopes()
	first[0], first[1] = "changed", "changed"
	f.revoke(t, "tester")
	if changed, err := engine.Reload(); !changed || err != nil {
		t.Fatal(changed, err)
	}
	_ = engine.Close()
	runtime.GC()
	if second, known := byKey.Scopes(); !known || len(second) != 2 || second[0] == "changed" || byKey.KeyID() != "tester" {
		t.Errorf("%q %v", second, known)
	}
}

// TestManyScopes: a list that has no room in a Verdict is allocated, one of more than 16,383 bytes is not known, and
// neither changes what else a verdict says.
func TestManyScopes(t *testing.T) {
	names := func(lengths ...int) []string {
		made := make([]string, len(lengths))
		for i, length := range lengths {
			made[i] = fmt.Sprintf("%02d", i) + strings.Repeat("s", length-2)
		}
		return made
	}
	repeated := func(count, length int) []int {
		lengths := make([]int, count)
		for i := range lengths {
			lengths[i] = length
		}
		return lengths
	}
	lists := map[string][]string{
		"none":     nil,
		"fitting":  names(40, 40),
		"long":     names(repeated(20, 100)...),
		"longest":  names(repeated(16, 1023)...),
		"too-long": names(append(repeated(15, 1023), 1024)...),
	}
	if length := len(strings.Join(lists["longest"], " ")); length != 16383 {
		t.Fatal(length)
	}
	keys := ""
	for id, scopes := range lists {
		line, err := json.Marshal(map[string]any{"realm": "files", "id": id, "key": "many-scopes-0123456789-" + id, "tenant": "acme", "scopes": scopes})
		if err != nil {
			t.Fatal(err)
		}
		if scopes == nil {
			line = []byte(`{"realm":"files","id":"none","key":"many-scopes-0123456789-none","tenant":"acme"}`)
		}
		keys += string(line) + "\n"
	}
	engine := newFiles(t, shop, pepper+hubKey, keys).mustBuild(t).open(t, nil)
	for id, want := range lists {
		verdict, err := engine.VerifyKey("files", "many-scopes-0123456789-"+id, keyward.WithListedScopes(), keyward.WithScopes(want...))
		if err != nil || !verdict.Allowed() || verdict.KeyID() != id || verdict.Tenant() != "acme" {
			t.Fatalf("%s: %v, %v", id, verdict, err)
		}
		scopes, known := verdict.Scopes()
		sort.Strings(scopes)
		if id == "too-long" {
			want = nil
		}
		if known != (id != "too-long") || strings.Join(scopes, " ") != strings.Join(want, " ") || len(scopes) != len(want) {
			t.Errorf("%s: %d scopes, %v", id, len(scopes), known)
		}
	}
}

// TestScopesOfASignIn: IssueToken tells them, too, and so does the context behind a Handler.
func TestScopesOfASignIn(t *testing.T) {
	key := `{"realm":"hub","id":"app","basic":{"id":"app","secret":"app-secret-0123456789"},"scopes":["things:read"]}` + "\n"
	engine := newFiles(t, shop, pepper+hubKey, key).mustBuild(t).open(t, nil)
	login := httptest.NewRequest("POST", "/login", nil)
	login.SetBasicAuth("app", "app-secret-0123456789")
	_, verdict, err := engine.IssueToken(login, "hub", nil)
	if scopes, known := verdict.Scopes(); err != nil || known || scopes != nil {
		t.Errorf("%q %v %v", scopes, known, err)
	}
	token, verdict, err := engine.IssueToken(login, "hub", nil, keyward.WithListedScopes())
	if scopes, known := verdict.Scopes(); err != nil || !known || len(scopes) != 1 || scopes[0] != "things:read" {
		t.Errorf("%q %v %v", scopes, known, err)
	}
	login.SetBasicAuth("app", "wrong")
	_, verdict, err = engine.IssueToken(login, "hub", nil, keyward.WithListedScopes())
	if scopes, known := verdict.Scopes(); err == nil || !known || scopes != nil {
		t.Errorf("%q %v %v", scopes, known, err)
	}
	behind := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%q", keyward.Scopes(r.Context()))
	})
	for want, options := range map[string][]keyward.Option{`["things:read"]`: {keyward.WithListedScopes()}, `[]`: nil} {
		response := ask(t, keyward.Handler(engine, "hub", options...)(behind), "GET", "/things", token)
		if text := body(t, response); response.StatusCode != 200 || text != want {
			t.Errorf("%s %s, not %s", response.Status, text, want)
		}
	}
}
