package keyward_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"runtime/pprof"
	"runtime/trace"
	"sync"
	"sync/atomic"
	"testing"

	keyward "github.com/keyward/keyward/bindings/go"
)

// TestInterrupted: the runtime may collect garbage, stop the world, move stacks, take profiles and traces and send signals
// while calls are under way, and no verdict is another for it.
func TestInterrupted(t *testing.T) {
	t.Logf("calls go by runtime.asmcgocall: %v", keyward.CallsDirectly)
	engine := shopFiles(t).open(t, nil)
	const turns = 20
	// How many interrupters have not had their turns yet.
	var waiting atomic.Int32
	var done atomic.Bool
	var callers, interrupters sync.WaitGroup
	problems := make(chan error, 3)
	again := func(interrupt func()) {
		interrupters.Add(1)
		go func() {
			defer interrupters.Done()
			for turn := 1; !done.Load(); turn++ {
				if interrupt(); turn == turns {
					waiting.Add(-1)
				}
			}
		}()
	}
	waiting.Store(4)
	again(runtime.GC)
	again(func() {
		// Another number of threads that run Go stops all of them, and starts them anew.
		before := runtime.GOMAXPROCS(0)
		runtime.GOMAXPROCS(before + 1)
		runtime.GOMAXPROCS(before)
	})
	again(func() { _ = pprof.Lookup("goroutine").WriteTo(io.Discard, 2) })
	again(func() {
		if err := trace.Start(io.Discard); err == nil {
			runtime.Gosched()
			trace.Stop()
		}
	})
	var profile bytes.Buffer
	// What StartCPUProfile says to it is that the rate is set already.
	runtime.SetCPUProfileRate(2000)
	if err := pprof.StartCPUProfile(&profile); err != nil {
		t.Log("there is a profile already: ", err)
	}
	for caller := 0; caller < cap(problems); caller++ {
		callers.Add(1)
		go func() {
			defer callers.Done()
			// Of its own, with texts that nothing but it refers to.
			r := typical("GET", "/orders", readerKey)
			for round := 0; round < 1000 || waiting.Load() > 0; round++ {
				if err := deep(engine, r, round%40, round); err != nil {
					problems <- err
					return
				}
			}
		}()
	}
	callers.Wait()
	done.Store(true)
	interrupters.Wait()
	pprof.StopCPUProfile()
	close(problems)
	for err := range problems {
		t.Error(err)
	}
}

// deep asks with so many more frames on the stack, which has to grow for them and then shrinks again.
func deep(engine *keyward.Engine, r *http.Request, frames, round int) error {
	if frames > 0 {
		var room [512]byte
		room[round%len(room)] = byte(round)
		err := deep(engine, r, frames-1, round)
		runtime.KeepAlive(&room)
		return err
	}
	key, want := readerKey, keyward.ReasonOK
	switch round % 3 {
	case 1:
		key, want = heldKey, keyward.ReasonSuspended
	case 2:
		key, want = fmt.Sprintf("sk_live_%016x", round), keyward.ReasonUnknownKey
	}
	r.Header["Authorization"][0] = "Bearer " + key
	for name, verify := range map[string]func() (keyward.Verdict, error){
		"Verify":      func() (keyward.Verdict, error) { return engine.Verify(r, "shop") },
		"Verify with": func() (keyward.Verdict, error) { return engine.Verify(r, "shop", keyward.WithScopes("orders:read")) },
		"VerifyKey":   func() (keyward.Verdict, error) { return engine.VerifyKey("shop", key) },
		"VerifyKey with": func() (keyward.Verdict, error) {
			return engine.VerifyKey("shop", key, keyward.WithEnvironment("live"), keyward.WithListedScopes())
		},
	} {
		verdict, err := verify()
		if err != nil || verdict.Reason() != want || verdict.Allowed() != (want == keyward.ReasonOK) {
			return fmt.Errorf("%s in round %d: %v, %v, not %v", name, round, verdict, err, want)
		}
		if id := verdict.KeyID(); verdict.Allowed() && id != "reader" {
			return fmt.Errorf("%s in round %d: let in %q", name, round, id)
		}
	}
	return nil
}
