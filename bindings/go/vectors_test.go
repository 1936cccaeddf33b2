package keyward_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"testing"
	"time"

	keyward "github.com/keyward/keyward/bindings/go"
)

// vectors is a vector file: docs/DECISIONS.md section 9.
type vectors struct {
	path string

	Config  string
	Keyring string
	// As written, so that a repeated member stays repeated.
	Keys  []json.RawMessage
	Cases []vector
	Error *string
}

type vector struct {
	Name    string
	Now     json.Number
	Repeat  int
	Request struct {
		Realm       string
		Method      string
		Path        *string
		Host        string
		IP          string
		TLS         *bool
		Environment *string
		Scopes      []string
		Headers     [][2]string
	}
	// What Rust decides: not only what the file's expect names.
	rust fields
}

// fields are a verdict and its answer under the names that vector files use, each as JSON.
type fields map[string]string

const committedVectors = "../../testdata/vectors"

// vectorFolders are the vectors of this repository, and those that stand beside the checkout where somebody has put
// them there.
func vectorFolders() []string {
	folders := []string{committedVectors}
	beside := os.Getenv("VECTORS")
	if beside == "" {
		beside = "../../../shared/vectors"
	}
	if info, err := os.Stat(beside); err == nil && info.IsDir() {
		folders = append(folders, beside)
	}
	return folders
}

func readVectors(t testing.TB, folders ...string) []*vectors {
	t.Helper()
	var files []*vectors
	for _, folder := range folders {
		var paths []string
		err := filepath.Walk(folder, func(path string, _ os.FileInfo, err error) error {
			if err == nil && filepath.Ext(path) == ".json" {
				paths = append(paths, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		sort.Strings(paths)
		for _, path := range paths {
			files = append(files, readVectorFile(t, path))
		}
	}
	if len(files) < 10 {
		t.Fatalf("there are only %d vector files in %v", len(files), folders)
	}
	return files
}

func readVectorFile(t testing.TB, path string) *vectors {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	file := &vectors{path: path}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(file); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return file
}

// build makes the file's snapshot. The error is the command's refusal.
func (v *vectors) build(t testing.TB) (*files, error) {
	t.Helper()
	var keys strings.Builder
	for _, key := range v.Keys {
		// A string of JSON has no raw line break, so those that stand in a record are white space.
		keys.WriteString(strings.NewReplacer("\n", " ", "\r", " ").Replace(string(key)) + "\n")
	}
	f := newFiles(t, v.Config, v.Keyring, keys.String())
	return f, f.build()
}

// askRust adds to each case what the Rust engine makes of it, through `keyward conformance`: that tells the actual value of
// a field where it is not the expected one, so here all fields are expected to be what none can be.
func (v *vectors) askRust(t testing.TB) {
	t.Helper()
	text, err := os.ReadFile(v.path)
	if err != nil {
		t.Fatal(err)
	}
	var whole map[string]json.RawMessage
	var cases []map[string]json.RawMessage
	if err := json.Unmarshal(text, &whole); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(whole["cases"], &cases); err != nil {
		t.Fatal(err)
	}
	impossible := map[string]any{}
	for _, name := range []string{"decision", "reason", "status", "key_id", "tenant", "environment", "subject", "scope",
		"retry_after", "www_authenticate", "content_type", "body", "generation"} {
		impossible[name] = map[string]string{"what": "no field can be"}
	}
	for _, one := range cases {
		one["expect"] = marshal(t, impossible)
	}
	whole["cases"] = marshal(t, cases)
	path := filepath.Join(t.TempDir(), "asked.json")
	if err := os.WriteFile(path, marshal(t, whole), 0o600); err != nil {
		t.Fatal(err)
	}
	command, err := command()
	if err != nil {
		t.Fatal(err)
	}
	// It says that every case failed.
	said, err := exec.Command(command, "conformance", "--json", path).Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	lines := bytes.Split(bytes.TrimSpace(said), []byte("\n"))
	if len(lines) != len(v.Cases) {
		t.Fatalf("%s: the command decided %d of %d cases", v.path, len(lines), len(v.Cases))
	}
	for i, line := range lines {
		var told struct {
			Case     string
			Failures []struct {
				Field  string
				Actual json.RawMessage
			}
		}
		if err := json.Unmarshal(line, &told); err != nil {
			t.Fatal(err)
		}
		if told.Case != v.Cases[i].Name {
			t.Fatalf("%s: %q is not %q", v.path, told.Case, v.Cases[i].Name)
		}
		v.Cases[i].rust = fields{}
		for _, failure := range told.Failures {
			v.Cases[i].rust[failure.Field] = canonical(t, failure.Actual)
		}
		if len(v.Cases[i].rust) != len(impossible) {
			t.Fatalf("%s: %s: the command told %d fields: %s", v.path, told.Case, len(v.Cases[i].rust), line)
		}
	}
}

func marshal(t testing.TB, value any) json.RawMessage {
	t.Helper()
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		t.Fatal(err)
	}
	return bytes.TrimSpace(text.Bytes())
}

func canonical(t testing.TB, text json.RawMessage) string {
	t.Helper()
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		t.Fatal(err)
	}
	return string(marshal(t, value))
}

// latin1 returns the bytes that the characters are in Latin-1.
func latin1(t testing.TB, text string) string {
	t.Helper()
	var raw []byte
	for _, character := range text {
		if character > 0xff {
			t.Fatalf("%q is no byte", character)
		}
		raw = append(raw, byte(character))
	}
	return string(raw)
}

// options are what a request over HTTP does not say.
func (v *vector) options(t testing.TB) []keyward.Option {
	t.Helper()
	var options []keyward.Option
	if v.Request.Environment != nil {
		options = append(options, keyward.WithEnvironment(*v.Request.Environment))
	}
	if len(v.Request.Scopes) > 0 {
		options = append(options, keyward.WithScopes(v.Request.Scopes...))
	}
	if v.Request.Path == nil {
		options = append(options, keyward.WithoutRoutes())
	}
	if v.Now != "" {
		// The decimal number as written, cut to whole nanoseconds.
		now, ok := new(big.Rat).SetString(v.Now.String())
		if !ok {
			t.Fatalf("%s: %q is no time", v.Name, v.Now)
		}
		now.Mul(now, big.NewRat(1e9, 1))
		nanoseconds := new(big.Int).Quo(now.Num(), now.Denom())
		seconds, rest := new(big.Int).QuoRem(nanoseconds, big.NewInt(1e9), new(big.Int))
		at := time.Unix(seconds.Int64(), rest.Int64())
		options = append(options, keyward.WithClock(func() time.Time { return at }))
	}
	return options
}

func (v *vector) tls() bool { return v.Request.TLS == nil || *v.Request.TLS }

func (v *vector) times() int {
	if v.Repeat > 1 {
		return v.Repeat
	}
	return 1
}

// verdictFields has nil for what a verdict does not have.
func verdictFields(t testing.TB, verdict keyward.Verdict) fields {
	t.Helper()
	text := func(text string) any {
		if text == "" {
			return nil
		}
		return text
	}
	decision := "deny"
	switch {
	case verdict.Allowed():
		decision = "allow"
	case verdict.Unavailable():
		decision = "unavailable"
	}
	told := map[string]any{
		"decision": decision, "reason": verdict.Reason().String(), "key_id": text(verdict.KeyID()), "tenant": text(verdict.Tenant()),
		"environment": text(verdict.Environment()), "subject": nil, "scope": nil, "retry_after": nil, "generation": nil,
	}
	if subject, known := verdict.Subject(); known {
		told["subject"] = subject
	}
	if verdict.Reason() == keyward.ReasonInsufficientScope {
		told["scope"] = verdict.Scope()
	}
	if verdict.Reason() == keyward.ReasonRateLimited {
		told["retry_after"] = uint64(verdict.RetryAfter() / time.Second)
	}
	if generation := verdict.Generation(); generation != 0 {
		told["generation"] = generation
	}
	return asJSON(t, told)
}

func answerFields(t testing.TB, answer keyward.Answer) fields {
	t.Helper()
	told := map[string]any{"status": answer.Status, "www_authenticate": nil, "content_type": nil, "body": nil}
	if values := answer.Header.Values("WWW-Authenticate"); len(values) > 0 {
		told["www_authenticate"] = strings.Join(values, "\n")
	}
	if answer.ContentType != "" {
		told["content_type"] = answer.ContentType
	}
	if answer.Body != nil {
		told["body"] = string(answer.Body)
	}
	return asJSON(t, told)
}

func asJSON(t testing.TB, told map[string]any) fields {
	t.Helper()
	all := fields{}
	for name, value := range told {
		all[name] = string(marshal(t, value))
	}
	return all
}

// differences says where the fields are not those of Rust.
func (v *vector) differences(found ...fields) []string {
	var wrong []string
	for _, part := range found {
		for name, value := range part {
			if v.rust[name] != value {
				wrong = append(wrong, fmt.Sprintf("%s: Rust has %s, Go %s", name, v.rust[name], value))
			}
		}
	}
	sort.Strings(wrong)
	return wrong
}

// TestVectors decides all vectors in process.
func TestVectors(t *testing.T) {
	passed := 0
	for _, file := range readVectors(t, vectorFolders()...) {
		built, err := file.build(t)
		if file.Error != nil {
			if err == nil || !strings.Contains(err.Error(), *file.Error) {
				t.Errorf("%s: %v does not contain %q", file.path, err, *file.Error)
			}
			passed++
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", file.path, err)
			continue
		}
		file.askRust(t)
		engine := built.open(t, nil)
		for i := range file.Cases {
			one := &file.Cases[i]
			if wrong := one.differences(one.inProcess(t, engine)...); len(wrong) > 0 {
				t.Errorf("%s: %s:\n  %s", file.path, one.Name, strings.Join(wrong, "\n  "))
			}
			passed++
		}
	}
	t.Logf("%d cases", passed)
}

func (v *vector) inProcess(t *testing.T, engine *keyward.Engine) []fields {
	t.Helper()
	request := keyward.Request{Method: v.Request.Method, Host: v.Request.Host, Peer: v.Request.IP, TLS: v.tls()}
	if v.Request.Path != nil {
		request.Target = *v.Request.Path
	}
	for _, header := range v.Request.Headers {
		request.Headers = append(request.Headers, keyward.Header{Name: latin1(t, header[0]), Value: latin1(t, header[1])})
	}
	var verdict keyward.Verdict
	for n := 0; n < v.times(); n++ {
		var err error
		if verdict, err = engine.VerifyRequest(&request, v.Request.Realm, v.options(t)...); err != nil {
			t.Fatalf("%s: %v", v.Name, err)
		}
	}
	answer, err := engine.Answer(v.Request.Realm, verdict)
	if err != nil {
		t.Fatalf("%s: %v", v.Name, err)
	}
	return []fields{verdictFields(t, verdict), answerFields(t, answer)}
}
