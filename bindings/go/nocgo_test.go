//go:build !cgo

package keyward_test

import (
	"errors"
	"net/http"
	"testing"

	keyward "github.com/keyward/keyward/bindings/go"
)

// TestWithoutCgo: a program without cgo is told so when it opens an engine, and lets nobody in.
func TestWithoutCgo(t *testing.T) {
	if _, err := keyward.Open(snapshot, keyring, nil); !errors.Is(err, keyward.ErrNoCgo) {
		t.Error(err)
	}
	if _, err := keyward.OpenBytes([]byte("snapshot"), keyring, nil); !errors.Is(err, keyward.ErrNoCgo) {
		t.Error(err)
	}
	var engine *keyward.Engine
	if verdict, err := engine.Verify(&http.Request{}, "shop"); verdict.Allowed() || !errors.Is(err, keyward.ErrClosed) {
		t.Error(verdict, err)
	}
	if response := ask(t, keyward.Handler(engine, "shop")(echo), "GET", "/health", ""); response.StatusCode != 503 {
		t.Error(response.Status)
	}
	if version := keyward.LibraryVersion(); version != "" {
		t.Error(version)
	}
}
