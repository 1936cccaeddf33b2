package keyward_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	keyward "github.com/keyward/keyward/bindings/go"
)

// command is the keyward command, which builds snapshots: what KEYWARD_CLI names, or the one built in this checkout.
func command() (string, error) {
	if named := os.Getenv("KEYWARD_CLI"); named != "" {
		return filepath.Abs(named)
	}
	for _, folder := range []string{"release", "debug"} {
		path, err := filepath.Abs(filepath.Join("../../target", folder, "keyward"))
		if err != nil {
			return "", err
		}
		if _, err := os.Stat(path); err == nil {
			return path, nil
		}
	}
	return "", errors.New("the command keyward is not built: cargo build --release --package keyward-cli, or set KEYWARD_CLI")
}

// files is a folder with what a server has, and what that was built from.
type files struct {
	folder, config, keyring, keys, snapshot string
}

func newFiles(t testing.TB, config, keyring, keys string) *files {
	t.Helper()
	f := filesIn(t.TempDir())
	f.write(t, f.config, config)
	f.write(t, f.keyring, keyring)
	f.write(t, f.keys, keys)
	return f
}

func filesIn(folder string) *files {
	in := func(name string) string { return filepath.Join(folder, name) }
	return &files{folder, in("keyward.toml"), in("keyring.toml"), in("keys.jsonl"), in("keys.kwd")}
}

func (f *files) write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// build publishes a new generation. The error is what the command said.
func (f *files) build() error {
	keyward, err := command()
	if err != nil {
		return err
	}
	var said bytes.Buffer
	build := exec.Command(keyward, "build", "--config", f.config, "--keyring", f.keyring, "--keys", f.keys, "-o", f.snapshot)
	build.Stderr = &said
	if err := build.Run(); err != nil {
		return fmt.Errorf("%w: %s", err, said.String())
	}
	return nil
}

func (f *files) mustBuild(t testing.TB) *files {
	t.Helper()
	if err := f.build(); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f *files) open(t testing.TB, options *keyward.Options) *keyward.Engine {
	t.Helper()
	engine, err := keyward.Open(f.snapshot, f.keyring, options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = engine.Close() })
	return engine
}

// revoke makes a generation in which a key is revoked.
func (f *files) revoke(t testing.TB, id string) {
	t.Helper()
	text, err := os.ReadFile(f.keys)
	if err != nil {
		t.Fatal(err)
	}
	var keys bytes.Buffer
	for _, line := range bytes.Split(bytes.TrimSpace(text), []byte("\n")) {
		var key map[string]any
		if err := json.Unmarshal(line, &key); err != nil {
			t.Fatal(err)
		}
		if key["id"] == id {
			key["status"] = "revoked"
		}
		written, err := json.Marshal(key)
		if err != nil {
			t.Fatal(err)
		}
		keys.Write(append(written, '\n'))
	}
	f.write(t, f.keys, keys.String())
	f.mustBuild(t)
}

const pepper = `
[[pepper]]
id = 1
key = "101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f"
`

// shop is an API with a key in a header of its own or as bearer, two routes, environments by host and a rate limit.
const shop = `
[realm.shop]
title = "Shop"
environments = ["live", "test"]
[realm.shop.credential.key]
kind = "key"
source = "bearer"
format = "sk_{environment}_{secret}"
secret_alphabet = "hex"
secret_length = 16
[[realm.shop.route]]
path = "/health"
require = []
[[realm.shop.route]]
methods = ["GET"]
path = "/orders"
scopes = ["orders:read"]
[[realm.shop.route]]
methods = ["POST"]
path = "/orders"
scopes = ["orders:write"]
[[realm.shop.route]]
path = "/files/{name}"
[realm.shop.rate_limit.narrow]
requests = 1
period = 3600
[realm.shop.errors.insufficient_scope]
content_type = "application/json"
body = '{"missing":"{scope}"}'

[realm.files]
[realm.files.credential.key]
kind = "key"
source = "header:X-Api-Key"

[realm.office]
require_tls = true
trusted_proxies = ["unix", "10.0.0.0/8"]
client_ip_header = "X-Forwarded-For"
[realm.office.credential.key]
kind = "key"
source = "bearer"

[realm.hub]
default_require = ["token"]
[realm.hub.credential.login]
kind = "basic"
source = "basic"
[realm.hub.credential.token]
kind = "token"
source = "bearer"
issuer = "hub"
audience = "hub"
[[realm.hub.route]]
methods = ["POST"]
path = "/login"
require = ["login"]
[[realm.hub.route]]
path = "/open"
require = []
[[realm.hub.route]]
path = "/things"
`

const hubKey = `
[[token_key]]
realm = "hub"
kid = "hub-1"
alg = "HS256"
secret = "YW4gZXhhbXBsZSBzZWNyZXQgb2YgdGhpcnR5LXR3byE="
`

const shopKeys = `{"realm":"shop","id":"reader","key":"sk_live_0123456789abcdef","tenant":"acme","environment":"live","scopes":["orders:read"]}
{"realm":"shop","id":"narrow","key":"sk_live_1111111111111111","tenant":"acme","environment":"live","scopes":["orders:read"],"rate_limit":"narrow"}
{"realm":"shop","id":"tester","key":"sk_test_2222222222222222","environment":"test","scopes":["orders:read","orders:write"]}
{"realm":"shop","id":"held","key":"sk_live_3333333333333333","environment":"live","status":"suspended"}
{"realm":"files","id":"archive","key":"archive-0123456789abcdef","tenant":"acme"}
{"realm":"office","id":"desk","key":"desk-0123456789abcdef0123","allow_ips":["203.0.113.0/24"]}
{"realm":"hub","id":"app","basic":{"id":"app","secret":"app-secret-0123456789"},"tenant":"acme"}
`

const (
	readerKey = "sk_live_0123456789abcdef"
	narrowKey = "sk_live_1111111111111111"
	testerKey = "sk_test_2222222222222222"
	heldKey   = "sk_live_3333333333333333"
)

func shopFiles(t testing.TB) *files {
	t.Helper()
	return newFiles(t, shop, pepper+hubKey, shopKeys).mustBuild(t)
}

// TestMain makes the snapshot of the examples.
func TestMain(m *testing.M) {
	flag.Parse()
	os.Exit(func() int {
		folder, err := os.MkdirTemp("", "keyward-go-")
		if err != nil {
			log.Fatal(err)
		}
		defer os.RemoveAll(folder)
		f := filesIn(folder)
		for path, text := range map[string]string{f.config: shop, f.keyring: pepper + hubKey, f.keys: shopKeys} {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				log.Fatal(err)
			}
		}
		if err := f.build(); err != nil {
			log.Fatal(err)
		}
		snapshot, keyring = f.snapshot, f.keyring
		return m.Run()
	}())
}
