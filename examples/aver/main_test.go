package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	keyward "github.com/keyward/keyward/bindings/go"
)

// command is the keyward command: what KEYWARD_CLI names, or the one built in this checkout.
func command(t *testing.T) string {
	t.Helper()
	path := os.Getenv("KEYWARD_CLI")
	if path == "" {
		path = "../../target/release/keyward"
	}
	path, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Fatalf("the command keyward is not built: cargo build --release --package keyward-cli, or set KEYWARD_CLI: %v", err)
	}
	return path
}

const (
	profile    = "../../profiles/aver/"
	portal     = "sample-aver-portal"
	portalPass = "sample-aver-portal-secret-0001"
)

// site is a running server with a folder of files.
type site struct {
	folder string
	engine *keyward.Engine
	server *httptest.Server
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{folder: t.TempDir()}
	secret := base64.StdEncoding.EncodeToString([]byte("a secret of thirty-two bytes, ok"))
	keyring := "[[pepper]]\nid = 1\nkey = \"" + strings.Repeat("ab", 32) + "\"\n" +
		"[[token_key]]\nrealm = \"aver\"\nkid = \"aver-1\"\nalg = \"HS256\"\nsecret = \"" + secret + "\"\n"
	s.write(t, "keyring.toml", keyring)
	keys, err := os.ReadFile(profile + "keys.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	s.publish(t, string(keys))
	s.engine, err = keyward.Open(s.in("keys.kwd"), s.in("keyring.toml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.engine.Close() })
	s.server = httptest.NewTLSServer(newAPI(s.engine))
	t.Cleanup(s.server.Close)
	return s
}

func (s *site) in(name string) string { return filepath.Join(s.folder, name) }

func (s *site) write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(s.in(name), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func (s *site) publish(t *testing.T, keys string) {
	t.Helper()
	s.write(t, "keys.jsonl", keys)
	build := exec.Command(command(t), "build", "--config", profile+"keyward.toml", "--keyring", s.in("keyring.toml"),
		"--keys", s.in("keys.jsonl"), "-o", s.in("keys.kwd"))
	if said, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
}

// ask sends a request with a real client, and returns status, headers and body.
func (s *site) ask(t *testing.T, method, path, body string, change func(*http.Request)) (int, http.Header, map[string]any) {
	t.Helper()
	r, err := http.NewRequest(method, s.server.URL+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(r)
	}
	response, err := s.server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	var told map[string]any
	if err := json.Unmarshal(text, &told); err != nil {
		told = map[string]any{"text": string(text)}
	}
	return response.StatusCode, response.Header, told
}

func basic(user, password string) func(*http.Request) {
	return func(r *http.Request) { r.SetBasicAuth(user, password) }
}

func bearer(token string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

func (s *site) token(t *testing.T) string {
	t.Helper()
	status, header, told := s.ask(t, "POST", "/api/auth", "", basic(portal, portalPass))
	token, _ := told["token"].(string)
	if status != 200 || header.Get("Cache-Control") != "no-store" || told["expires_in"] != 3600.0 || strings.Count(token, ".") != 2 {
		t.Fatal(status, header, told)
	}
	return token
}

func TestTokenForKeyAndSecret(t *testing.T) {
	s := newSite(t)
	token := s.token(t)
	claims := map[string]any{}
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil || json.Unmarshal(payload, &claims) != nil {
		t.Fatal(err, string(payload))
	}
	if claims["iss"] != "self" || claims["aud"] != "http://goaver.com" || claims["unique_name"] != "portal" || claims["client_id"] != "portal" {
		t.Error(claims)
	}
	if status, _, told := s.ask(t, "GET", "/api/me", "", bearer(token)); status != 200 || told["key"] != "portal" ||
		told["account"] != "harbor" || told["unique_name"] != "portal" {
		t.Error(status, told)
	}
	if status, _, told := s.ask(t, "POST", "/api/invoices", `{"amount":7}`, bearer(token)); status != 201 || told["by"] != "portal" {
		t.Error(status, told)
	}
	if status, _, told := s.ask(t, "GET", "/api/invoices", "", bearer(token)); status != 200 || told["text"] == "[]\n" {
		t.Error(status, told)
	}
}

func TestWhatIsRefused(t *testing.T) {
	s := newSite(t)
	token := s.token(t)
	for name, one := range map[string]struct {
		method, path string
		change       func(*http.Request)
		status       int
		challenge    string
	}{
		"no pair":                     {"POST", "/api/auth", nil, 401, `Basic realm="Aver", charset="UTF-8"`},
		"another secret":              {"POST", "/api/auth", basic(portal, "wrong"), 401, `Basic realm="Aver", charset="UTF-8"`},
		"a revoked key":               {"POST", "/api/auth", basic("sample-aver-former", "sample-aver-former-secret-0001"), 401, `Basic realm="Aver", charset="UTF-8"`},
		"a suspended key":             {"POST", "/api/auth", basic("sample-aver-held", "sample-aver-held-secret-0001"), 403, ""},
		"a token for a token":         {"POST", "/api/auth", bearer(token), 401, `Basic realm="Aver", charset="UTF-8"`},
		"another method":              {"PUT", "/api/auth", bearer(token), 403, ""},
		"the pair for a resource":     {"GET", "/api/me", basic(portal, portalPass), 401, `Bearer realm="Aver"`},
		"no token":                    {"GET", "/api/me", nil, 401, `Bearer realm="Aver"`},
		"a token that was changed":    {"GET", "/api/me", bearer(token[:len(token)-4] + "AAAA"), 401, `Bearer realm="Aver", error="invalid_token"`},
		"what is no resource":         {"GET", "/", bearer(token), 403, ""},
		"a path of two readings":      {"GET", "/api/invoices%2F1", bearer(token), 400, ""},
		"a resource that is not here": {"GET", "/api/nothing", bearer(token), 404, ""},
	} {
		status, header, told := s.ask(t, one.method, one.path, "", one.change)
		if status != one.status || header.Get("WWW-Authenticate") != one.challenge {
			t.Errorf("%s: %d %v %v", name, status, header, told)
		}
	}
}

func TestRevokedKeyEndsItsTokens(t *testing.T) {
	s := newSite(t)
	token := s.token(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	changed := make(chan error, 1)
	go s.engine.Watch(ctx, 10*time.Millisecond, func(_ bool, err error) { changed <- err })
	keys, err := os.ReadFile(s.in("keys.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	s.publish(t, strings.Replace(string(keys), `"id":"portal"`, `"id":"portal","status":"revoked"`, 1))
	if err := <-changed; err != nil {
		t.Fatal(err)
	}
	if status, _, told := s.ask(t, "GET", "/api/me", "", bearer(token)); status != 401 {
		t.Error(status, told)
	}
	if status, _, told := s.ask(t, "POST", "/api/auth", "", basic(portal, portalPass)); status != 401 {
		t.Error(status, told)
	}
}

func TestNoEngineLetsNobodyIn(t *testing.T) {
	s := newSite(t)
	token := s.token(t)
	_ = s.engine.Close()
	if status, _, told := s.ask(t, "GET", "/api/me", "", bearer(token)); status != 503 {
		t.Error(status, told)
	}
	if status, _, told := s.ask(t, "POST", "/api/auth", "", basic(portal, portalPass)); status != 503 {
		t.Error(status, told)
	}
}

// certificate writes one for localhost.
func (s *site) certificate(t *testing.T) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), DNSNames: []string{"localhost"}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certificate := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	s.write(t, "certificate.pem", certificate)
	s.write(t, "key.pem", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM([]byte(certificate))
	return roots
}

// TestServe starts the whole program's server and ends it as an operator does.
func TestServe(t *testing.T) {
	s := newSite(t)
	roots := s.certificate(t)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().(*net.TCPAddr)
	_ = free.Close()
	ended := make(chan error, 1)
	go func() {
		ended <- serve(address.String(), s.in("keys.kwd"), s.in("keyring.toml"), s.in("certificate.pem"), s.in("key.pem"))
	}()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true}}
	url := fmt.Sprintf("https://localhost:%d/api/auth", address.Port)
	for tries := 0; ; tries++ {
		r, err := http.NewRequest("POST", url, nil)
		if err != nil {
			t.Fatal(err)
		}
		r.SetBasicAuth(portal, portalPass)
		response, err := client.Do(r)
		if err == nil {
			_ = response.Body.Close()
			if response.StatusCode != 200 || response.ProtoMajor != 2 {
				t.Error(response.Status, response.Proto)
			}
			break
		}
		if tries > 100 {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := self.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for name, files := range map[string][2]string{"no snapshot": {s.in("none"), s.in("keyring.toml")}, "no keyring": {s.in("keys.kwd"), s.in("none")}} {
		if err := serve("127.0.0.1:0", files[0], files[1], "", ""); err == nil {
			t.Errorf("%s: it serves", name)
		}
	}
}
