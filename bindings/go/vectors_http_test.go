package keyward_test

import (
	"bufio"
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	keyward "github.com/keyward/keyward/bindings/go"
)

var update = flag.Bool("update", false, "write the page of vectors that are not sent")

var (
	token     = regexp.MustCompile("^[!#$%&'*+\\-.^_`|~0-9A-Za-z]+$")
	lineBreak = regexp.MustCompile("[\r\n]")
	control   = regexp.MustCompile("[\x00-\x08\x0a-\x1f\x7f]")
	wholeURL  = regexp.MustCompile("^[a-zA-Z][a-zA-Z0-9+.-]*://")
	// What net/http reads itself.
	readByServer = map[string]bool{"host": true, "connection": true, "content-length": true, "transfer-encoding": true,
		"trailer": true, "expect": true, "upgrade": true}
)

// notCarried says why no request over HTTP can say what the case does; empty where one can. By rule and not by name, so that
// cases that nobody has seen yet are sorted, too.
func (v *vector) notCarried() string {
	if path := v.Request.Path; path != nil {
		switch {
		case lineBreak.MatchString(*path):
			return "a line break ends the request line"
		case wholeURL.MatchString(*path):
			return "a server takes the path out of a whole URL"
		case *path == "*" && v.Request.Method == "OPTIONS":
			return "net/http answers this itself, for the whole server"
		}
	}
	for _, header := range v.Request.Headers {
		switch {
		case lineBreak.MatchString(header[0] + header[1]):
			return "a line break ends the header"
		case !token.MatchString(header[0]):
			return "a header's name is a token"
		case readByServer[strings.ToLower(header[0])]:
			return "the server reads this header itself, so that it cannot differ from what it says elsewhere"
		}
	}
	return ""
}

// refusedFirst says why net/http itself answers 400, before any handler is asked; empty where it does not.
func (v *vector) refusedFirst() string {
	if method := v.Request.Method; method != "" && !token.MatchString(method) {
		return "a method is a token"
	}
	if path := v.Request.Path; path != nil {
		if strings.ContainsAny(*path, " ") {
			return "a space in the target"
		}
		if control.MatchString(*path) || strings.Contains(*path, "\t") {
			return "a control character in the target"
		}
		if _, err := url.ParseRequestURI(*path); err != nil {
			return "a target that net/url cannot read"
		}
	}
	for _, header := range v.Request.Headers {
		if control.MatchString(header[1]) {
			return "a control character in a header"
		}
	}
	return ""
}

// clientTLS takes the test's own certificate, and sessions up again, which saves most of a handshake.
var clientTLS = &tls.Config{InsecureSkipVerify: true, ServerName: "localhost", ClientSessionCache: tls.NewLRUClientSessionCache(8)}

// place is an end of a connection that a case names.
type place struct{ network, text string }

func (p place) Network() string { return p.network }
func (p place) String() string  { return p.text }

// stage is a real server on loopback, with and without TLS, for one case after the other.
type stage struct {
	engine  *keyward.Engine
	clear   net.Listener
	tls     net.Listener
	current atomic.Pointer[scene]
}

// scene is a case on the stage.
type scene struct {
	handler       http.Handler
	local, remote net.Addr
	// What the middleware reported.
	verdict  keyward.Verdict
	reported int
	err      error
	// What the handler behind it found in the context.
	passed  keyward.Verdict
	reached int
}

// from gives connections the ends that the current case names.
type from struct {
	net.Listener
	stage *stage
}

type fromConn struct {
	net.Conn
	local, remote net.Addr
}

func (f from) Accept() (net.Conn, error) {
	conn, err := f.Listener.Accept()
	if err != nil {
		return nil, err
	}
	scene := f.stage.current.Load()
	return fromConn{conn, scene.local, scene.remote}, nil
}

func (c fromConn) LocalAddr() net.Addr  { return c.local }
func (c fromConn) RemoteAddr() net.Addr { return c.remote }

func newStage(t *testing.T, certificate tls.Certificate) *stage {
	t.Helper()
	listen := func() net.Listener {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		return listener
	}
	s := &stage{clear: listen(), tls: listen()}
	server := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.current.Load().handler.ServeHTTP(w, r) }),
	}
	config := &tls.Config{Certificates: []tls.Certificate{certificate}}
	go func() { _ = server.Serve(from{s.clear, s}) }()
	go func() { _ = server.Serve(tls.NewListener(from{s.tls, s}, config)) }()
	t.Cleanup(func() { _ = server.Close() })
	return s
}

func newCertificate(t *testing.T) tls.Certificate {
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
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// scene sets the case up: what a request cannot say is said by the middleware's options and the connection's ends.
func (s *stage) scene(t *testing.T, v *vector) *scene {
	t.Helper()
	one := &scene{local: place{"tcp", "127.0.0.1:443"}, remote: place{"tcp", ""}}
	switch ip := v.Request.IP; {
	case ip == "unix:":
		one.local, one.remote = place{"unix", "/run/server.sock"}, place{"unix", "@"}
	case strings.Contains(ip, ":"):
		one.remote = place{"tcp", "[" + ip + "]:40000"}
	case ip != "":
		one.remote = place{"tcp", ip + ":40000"}
	}
	options := append(v.options(t), keyward.WithReport(func(_ *http.Request, verdict keyward.Verdict, err error) {
		one.verdict, one.err = verdict, err
		one.reported++
	}))
	one.handler = keyward.Handler(s.engine, v.Request.Realm, options...)(http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			one.passed, _ = keyward.FromContext(r.Context())
			one.reached++
		}))
	s.current.Store(one)
	return one
}

// message is the request's bytes: nothing in it that the case does not say, so HTTP/1.0, which needs no Host.
func (v *vector) message(t *testing.T) []byte {
	t.Helper()
	var text bytes.Buffer
	method, path := v.Request.Method, "/not/looked/at"
	if method == "" {
		method = "GET"
	}
	if v.Request.Path != nil {
		path = *v.Request.Path
	}
	fmt.Fprintf(&text, "%s %s HTTP/1.0\r\n", method, path)
	if v.Request.Host != "" {
		fmt.Fprintf(&text, "Host: %s\r\n", v.Request.Host)
	}
	for _, header := range v.Request.Headers {
		fmt.Fprintf(&text, "%s: %s\r\n", latin1(t, header[0]), latin1(t, header[1]))
	}
	text.WriteString("\r\n")
	return text.Bytes()
}

func (s *stage) send(v *vector, message []byte) (*http.Response, []byte, error) {
	address := s.clear.Addr()
	if v.tls() {
		address = s.tls.Addr()
	}
	conn, err := net.Dial("tcp", address.String())
	if err != nil {
		return nil, nil, err
	}
	defer conn.Close()
	if v.tls() {
		conn = tls.Client(conn, clientTLS)
	}
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		return nil, nil, err
	}
	if _, err := conn.Write(message); err != nil {
		return nil, nil, err
	}
	method := v.Request.Method
	if method == "" {
		method = "GET"
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		return nil, nil, err
	}
	body, err := io.ReadAll(response.Body)
	return response, body, err
}

// overHTTP sends the case as often as it says, and returns what is wrong with the last answer.
func (s *stage) overHTTP(t *testing.T, v *vector) []string {
	t.Helper()
	one := s.scene(t, v)
	message := v.message(t)
	var response *http.Response
	var body []byte
	var err error
	for n := 0; n < v.times(); n++ {
		if response, body, err = s.send(v, message); err != nil {
			t.Fatalf("%s: %v", v.Name, err)
		}
	}
	if why := v.refusedFirst(); why != "" {
		if response.StatusCode == http.StatusBadRequest && one.reported == 0 && one.reached == 0 {
			return nil
		}
		return []string{fmt.Sprintf("net/http should refuse it (%s): %s, asked %d times", why, response.Status, one.reported)}
	}
	if one.err != nil || one.reported != v.times() {
		return []string{fmt.Sprintf("%s, asked %d times: %v", response.Status, one.reported, one.err)}
	}
	if one.verdict.Allowed() != (one.reached > 0) || one.verdict.Allowed() && one.passed != one.verdict {
		return []string{fmt.Sprintf("%v was reported, and the handler saw %v", one.verdict, one.passed)}
	}
	answer := keyward.Answer{Status: response.StatusCode, Header: response.Header, ContentType: response.Header.Get("Content-Type")}
	if len(body) > 0 {
		answer.Body = body
	}
	if one.verdict.Allowed() {
		// What is sent then is the handler's.
		answer.ContentType, answer.Body = "", nil
	}
	told := answerFields(t, answer)
	if v.Request.Method == "HEAD" {
		delete(told, "body")
	}
	return v.differences(verdictFields(t, one.verdict), told)
}

// TestVectorsOverHTTP sends all vectors that HTTP can carry to a real server with the middleware.
func TestVectorsOverHTTP(t *testing.T) {
	s := newStage(t, newCertificate(t))
	sent := 0
	for _, file := range readVectors(t, vectorFolders()...) {
		if file.Error != nil {
			continue
		}
		built, err := file.build(t)
		if err != nil {
			t.Fatal(err)
		}
		file.askRust(t)
		s.engine = built.open(t, nil)
		for i := range file.Cases {
			one := &file.Cases[i]
			if one.notCarried() != "" {
				continue
			}
			if wrong := s.overHTTP(t, one); len(wrong) > 0 {
				t.Errorf("%s: %s:\n  %s", file.path, one.Name, strings.Join(wrong, "\n  "))
			}
			sent++
		}
	}
	if sent < 600 {
		t.Errorf("only %d cases were sent", sent)
	}
	t.Logf("%d cases", sent)
}

// TestNotCarriedPage compares not-carried.md with the rules above.
func TestNotCarriedPage(t *testing.T) {
	const page = "not-carried.md"
	var all, first, never int
	var firstRows, neverRows strings.Builder
	row := func(into *strings.Builder, file *vectors, one *vector, why string) {
		fmt.Fprintf(into, "| %s | %s | %s |\n", filepath.Base(file.path), strings.ReplaceAll(one.Name, "|", "\\|"), why)
	}
	refused := 0
	for _, file := range readVectors(t, committedVectors) {
		if file.Error != nil {
			refused++
		}
		for i := range file.Cases {
			all++
			if why := file.Cases[i].notCarried(); why != "" {
				never++
				row(&neverRows, file, &file.Cases[i], why)
			} else if why := file.Cases[i].refusedFirst(); why != "" {
				first++
				row(&firstRows, file, &file.Cases[i], why)
			}
		}
	}
	text := fmt.Sprintf(`# Vectors that net/http cannot be asked

%d cases: %d are decided by the middleware behind a real server, %d are sent and refused by net/http itself, %d cannot be
sent. In process, without HTTP, all are decided.

The %d files in `+"`refused/`"+` are refused when a snapshot is built: no server comes to see them.

## Cannot be sent

| file | case | why |
|---|---|---|
%s
## Refused by net/http itself, with 400, before any handler is asked

| file | case | what it refuses |
|---|---|---|
%s`, all, all-first-never, first, never, refused, neverRows.String(), firstRows.String())
	if *update {
		if err := os.WriteFile(page, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	committed, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if string(committed) != text {
		t.Errorf("%s is not what the vectors and rules say: go test -run %s -update", page, t.Name())
	}
}
