package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"path/filepath"
)

// One realm with a bearer key that has a form, an environment, a status and a scope: what an API has.
const configuration = `
[realm.api]
title = "API"
environments = ["live", "test"]
[realm.api.credential.key]
kind = "key"
source = "bearer"
format = "sk_{environment}_{secret}"
secret_alphabet = "hex"
secret_length = 32
[[realm.api.route]]
methods = ["GET"]
path = "/v1/orders"
scopes = ["orders:read"]
`

// key is the text of a key, which a number makes.
func key(number int) string {
	secret := sha256.Sum256([]byte(fmt.Sprint("key ", number)))
	return "sk_live_" + hex.EncodeToString(secret[:16])
}

// shuffled are the keys in an order that has nothing to do with how they are stored.
func shuffled(count int) []string {
	keys := make([]string, count)
	for i, number := range rand.New(rand.NewSource(1)).Perm(count) {
		keys[i] = key(number)
	}
	return keys
}

func snapshotIn(folder string) string { return filepath.Join(folder, "keys.kwd") }
func keyringIn(folder string) string  { return filepath.Join(folder, "keyring.toml") }

func build(cli, folder string, count int) error {
	var lines bytes.Buffer
	for number := 0; number < count; number++ {
		fmt.Fprintf(&lines, `{"realm":"api","id":"key-%d","key":%q,"tenant":"tenant-%d","environment":"live","scopes":["orders:read"]}`+"\n",
			number, key(number), number%1000)
	}
	config, keys := filepath.Join(folder, "keyward.toml"), filepath.Join(folder, "keys.jsonl")
	if err := os.WriteFile(config, []byte(configuration), 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(keys, lines.Bytes(), 0o600); err != nil {
		return err
	}
	for _, arguments := range [][]string{
		{"keyring", "new", "-o", keyringIn(folder)},
		{"build", "--config", config, "--keyring", keyringIn(folder), "--keys", keys, "-o", snapshotIn(folder)},
	} {
		if said, err := exec.Command(cli, arguments...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", cli, err, said)
		}
	}
	return nil
}
