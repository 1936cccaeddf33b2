package keyward_test

import (
	"context"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	keyward "github.com/keyward/keyward/bindings/go"
)

func TestOpenTellsWhatIsWrong(t *testing.T) {
	f := shopFiles(t)
	in := func(name string) string { return filepath.Join(f.folder, name) }
	whole, err := os.ReadFile(f.snapshot)
	if err != nil {
		t.Fatal(err)
	}
	damaged := append([]byte(nil), whole...)
	damaged[len(damaged)/2] ^= 1
	f.write(t, in("truncated.kwd"), string(whole[:8192]))
	f.write(t, in("damaged.kwd"), string(damaged))
	f.write(t, in("text.kwd"), strings.Repeat("no snapshot ", 1000))
	f.write(t, in("other.toml"), strings.Replace(pepper, "101112", "ff1112", 1)+hubKey)
	f.write(t, in("exposed.toml"), pepper+hubKey)
	if err := os.Chmod(in("exposed.toml"), 0o644); err != nil {
		t.Fatal(err)
	}
	f.write(t, in("broken.toml"), "pepper = 3\n")
	for name, one := range map[string]struct {
		snapshot, keyring string
		options           *keyward.Options
		want              error
	}{
		"no snapshot":             {in("none.kwd"), f.keyring, nil, keyward.ErrNotFound},
		"no snapshot, io/fs":      {in("none.kwd"), f.keyring, nil, fs.ErrNotExist},
		"no keyring":              {f.snapshot, in("none.toml"), nil, keyward.ErrNotFound},
		"no name at all":          {"", f.keyring, nil, keyward.ErrNotFound},
		"no name of a keyring":    {f.snapshot, "", nil, keyward.ErrNotFound},
		"a folder":                {f.folder, f.keyring, nil, keyward.ErrIO},
		"a NUL in a path":         {"keys\x00.kwd", f.keyring, nil, keyward.ErrIO},
		"text":                    {in("text.kwd"), f.keyring, nil, keyward.ErrNotASnapshot},
		"truncated":               {in("truncated.kwd"), f.keyring, nil, keyward.ErrTruncated},
		"damaged":                 {in("damaged.kwd"), f.keyring, &keyward.Options{CheckWhole: true}, keyward.ErrDamaged},
		"another pepper":          {f.snapshot, in("other.toml"), nil, keyward.ErrPepper},
		"a keyring for all":       {f.snapshot, in("exposed.toml"), nil, keyward.ErrKeyringExposed},
		"a keyring of nonsense":   {f.snapshot, in("broken.toml"), nil, keyward.ErrKeyring},
		"a mode that there isn't": {f.snapshot, f.keyring, &keyward.Options{Mode: 9}, keyward.ErrValue},
		"no state file":           {f.snapshot, f.keyring, &keyward.Options{State: f.keys}, keyward.ErrState},
	} {
		engine, err := keyward.Open(one.snapshot, one.keyring, one.options)
		if engine != nil || !errors.Is(err, one.want) {
			t.Errorf("%s: %v, %v is not %v", name, engine, err, one.want)
			continue
		}
		var whole *keyward.Error
		if !errors.As(err, &whole) || whole.Op != "open" || whole.Message == "" || !strings.HasPrefix(err.Error(), "keyward: open: ") {
			t.Errorf("%s: %#v", name, err)
		}
	}
}

func TestOptions(t *testing.T) {
	f := shopFiles(t)
	state := filepath.Join(f.folder, "state")
	engine := f.open(t, &keyward.Options{Mode: keyward.Copy, CheckWhole: true, LimiterSlots: 1024, State: state, StateSlots: 1024})
	info, err := engine.Info()
	if err != nil || info.Mapped || !info.Loaded || !info.Checked || !info.StateShared || info.Keys != 7 || info.Realms != 4 {
		t.Errorf("%+v, %v", info, err)
	}
	if _, err := os.Stat(state); err != nil {
		t.Error(err)
	}
	if since := time.Since(info.Created); since < 0 || since > time.Hour {
		t.Errorf("made %v ago", since)
	}
	if info, err := f.open(t, nil).Info(); err != nil || !info.Mapped || info.StateShared || info.LastError != nil {
		t.Errorf("%+v, %v", info, err)
	}
}

func TestOpenLater(t *testing.T) {
	f := newFiles(t, shop, pepper+hubKey, shopKeys)
	engine := f.open(t, &keyward.Options{OpenLater: true})
	verdict, err := engine.VerifyKey("files", "archive-0123456789abcdef")
	if err != nil || verdict.Allowed() || !verdict.Unavailable() || verdict.Generation() != 0 {
		t.Errorf("%v, %v", verdict, err)
	}
	if err := engine.CheckRealm("files"); !errors.Is(err, keyward.ErrNoSnapshot) {
		t.Error(err)
	}
	if info, err := engine.Info(); err != nil || info.Loaded || !errors.Is(info.LastError, keyward.ErrNotFound) {
		t.Errorf("%+v, %v", info, err)
	}
	f.mustBuild(t)
	if changed, err := engine.Reload(); !changed || err != nil {
		t.Error(changed, err)
	}
	if verdict, err := engine.VerifyKey("files", "archive-0123456789abcdef"); err != nil || !verdict.Allowed() {
		t.Errorf("%v, %v", verdict, err)
	}
}

func TestReload(t *testing.T) {
	f := shopFiles(t)
	engine := f.open(t, nil)
	if changed, err := engine.Reload(); changed || err != nil {
		t.Error(changed, err)
	}
	f.revoke(t, "archive")
	if changed, err := engine.Reload(); !changed || err != nil {
		t.Error(changed, err)
	}
	verdict, err := engine.VerifyKey("files", "archive-0123456789abcdef")
	if err != nil || verdict.Reason() != keyward.ReasonRevoked || verdict.Generation() != 2 {
		t.Errorf("%v, %v", verdict, err)
	}
	// Whatever is wrong with the file, the last good generation stays.
	if err := os.Remove(f.snapshot); err != nil {
		t.Fatal(err)
	}
	if changed, err := engine.Reload(); changed || !errors.Is(err, keyward.ErrNotFound) {
		t.Error(changed, err)
	}
	if verdict, err := engine.VerifyKey("office", "desk-0123456789abcdef0123", keyward.WithTLS(true),
		keyward.WithPeer("203.0.113.9")); err != nil || !verdict.Allowed() {
		t.Errorf("%v, %v", verdict, err)
	}
	if err := engine.CheckPages(); err != nil {
		t.Error(err)
	}
}

func TestSnapshotsInMemory(t *testing.T) {
	f := shopFiles(t)
	first, err := os.ReadFile(f.snapshot)
	if err != nil {
		t.Fatal(err)
	}
	f.revoke(t, "archive")
	second, err := os.ReadFile(f.snapshot)
	if err != nil {
		t.Fatal(err)
	}
	engine, err := keyward.OpenBytes(first, f.keyring, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer engine.Close()
	for i := range first {
		first[i] = 0
	}
	if verdict, err := engine.VerifyKey("files", "archive-0123456789abcdef"); err != nil || !verdict.Allowed() {
		t.Errorf("%v, %v", verdict, err)
	}
	if _, err := engine.Reload(); !errors.Is(err, keyward.ErrNoFile) {
		t.Error(err)
	}
	if changed, err := engine.ReplaceBytes(second); !changed || err != nil {
		t.Error(changed, err)
	}
	if verdict, err := engine.VerifyKey("files", "archive-0123456789abcdef"); err != nil || verdict.Reason() != keyward.ReasonRevoked {
		t.Errorf("%v, %v", verdict, err)
	}
	if _, err := engine.ReplaceBytes(nil); err == nil {
		t.Error("no bytes are a snapshot")
	}
	if _, err := keyward.OpenBytes(nil, f.keyring, nil); err == nil {
		t.Error("no bytes are a snapshot")
	}
}

func TestWatch(t *testing.T) {
	f := shopFiles(t)
	engine := f.open(t, nil)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	type told struct {
		changed bool
		err     error
	}
	reports, ended := make(chan told, 100), make(chan error)
	go func() {
		ended <- engine.Watch(ctx, 5*time.Millisecond, func(changed bool, err error) { reports <- told{changed, err} })
	}()
	f.revoke(t, "archive")
	if report := <-reports; !report.changed || report.err != nil {
		t.Errorf("%+v", report)
	}
	if verdict, err := engine.VerifyKey("files", "archive-0123456789abcdef"); err != nil || verdict.Reason() != keyward.ReasonRevoked {
		t.Errorf("%v, %v", verdict, err)
	}
	if err := os.Remove(f.snapshot); err != nil {
		t.Fatal(err)
	}
	if report := <-reports; report.changed || !errors.Is(report.err, keyward.ErrNotFound) {
		t.Errorf("%+v", report)
	}
	// The same error is told once.
	time.Sleep(100 * time.Millisecond)
	if len(reports) > 0 {
		t.Errorf("%+v", <-reports)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	go func() { ended <- engine.Watch(context.Background(), time.Hour, nil) }()
	time.Sleep(10 * time.Millisecond)
	_ = engine.Close()
	if err := <-ended; !errors.Is(err, keyward.ErrClosed) {
		t.Error(err)
	}
	for _, interval := range []time.Duration{0, -1} {
		if err := engine.Watch(context.Background(), interval, nil); !errors.Is(err, keyward.ErrValue) {
			t.Error(err)
		}
	}
}

// TestClosed: an engine that is closed, one that was never opened, and none at all.
func TestClosed(t *testing.T) {
	closed := shopFiles(t).open(t, nil)
	for n := 0; n < 2; n++ {
		if err := closed.Close(); err != nil {
			t.Error(err)
		}
	}
	r := typical("GET", "/orders", readerKey)
	for name, engine := range map[string]*keyward.Engine{"closed": closed, "zero": {}, "nil": nil} {
		var errs []error
		add := func(err error) { errs = append(errs, err) }
		verdict, err := engine.Verify(r, "shop")
		add(err)
		denied := []keyward.Verdict{verdict}
		verdict, err = engine.VerifyRequest(&keyward.Request{}, "shop")
		add(err)
		denied = append(denied, verdict)
		verdict, err = engine.VerifyKey("shop", readerKey)
		add(err)
		denied = append(denied, verdict)
		text, verdict, err := engine.IssueToken(r, "hub", nil)
		add(err)
		denied = append(denied, verdict)
		_, err = engine.Answer("shop", verdict)
		add(err)
		_, err = engine.Reload()
		add(err)
		_, err = engine.ReplaceBytes(nil)
		add(err)
		_, err = engine.Info()
		add(err)
		_, err = engine.Counts()
		add(err)
		add(engine.CheckPages())
		add(engine.CheckRealm("shop"))
		add(engine.CheckEnvironment("shop", "live"))
		add(engine.Watch(context.Background(), time.Millisecond, nil))
		for i, err := range errs {
			if !errors.Is(err, keyward.ErrClosed) || !errors.Is(err, fs.ErrClosed) {
				t.Errorf("%s, %d: %v", name, i, err)
			}
		}
		for i, verdict := range denied {
			if verdict != (keyward.Verdict{}) || verdict.Allowed() || text != "" {
				t.Errorf("%s, %d: %v", name, i, verdict)
			}
		}
		if err := engine.Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestCloseMeanwhile closes an engine while goroutines are in calls: each call decides or says that it is closed.
func TestCloseMeanwhile(t *testing.T) {
	f := shopFiles(t)
	for round := 0; round < 10; round++ {
		engine, err := keyward.Open(f.snapshot, f.keyring, nil)
		if err != nil {
			t.Fatal(err)
		}
		var all sync.WaitGroup
		var allowed, refused atomic.Int64
		for n := 0; n < 4; n++ {
			all.Add(1)
			go func() {
				defer all.Done()
				r := typical("GET", "/orders", readerKey)
				for {
					verdict, err := engine.Verify(r, "shop")
					if errors.Is(err, keyward.ErrClosed) {
						if verdict.Allowed() {
							refused.Add(1)
						}
						return
					}
					if err != nil || !verdict.Allowed() || verdict.KeyID() != "reader" {
						refused.Add(1)
					}
					allowed.Add(1)
				}
			}()
		}
		for allowed.Load() < 100 {
			runtime.Gosched()
		}
		_ = engine.Close()
		runtime.GC()
		all.Wait()
		if refused.Load() > 0 {
			t.Errorf("%d wrong decisions", refused.Load())
		}
	}
}

// TestForgotten: an engine that nobody closes and nobody uses is released, and so is one that was closed.
func TestForgotten(t *testing.T) {
	f := shopFiles(t)
	mapped := func() int {
		maps, err := os.ReadFile("/proc/self/maps")
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(maps), f.snapshot)
	}
	for n := 0; n < 20; n++ {
		engine, err := keyward.Open(f.snapshot, f.keyring, nil)
		if err != nil {
			t.Fatal(err)
		}
		if n%2 == 0 {
			_ = engine.Close()
		}
	}
	if mapped() == 0 {
		t.Fatal("this test cannot see the snapshot in memory")
	}
	for n := 0; mapped() > 0; n++ {
		if n > 500 {
			t.Fatalf("%d snapshots are still mapped", mapped())
		}
		runtime.GC()
		time.Sleep(10 * time.Millisecond)
	}
}

// TestStorm verifies from many goroutines under generations that come and go.
func TestStorm(t *testing.T) {
	f := shopFiles(t)
	first, err := os.ReadFile(f.snapshot)
	if err != nil {
		t.Fatal(err)
	}
	f.revoke(t, "tester")
	second, err := os.ReadFile(f.snapshot)
	if err != nil {
		t.Fatal(err)
	}
	engine := f.open(t, &keyward.Options{GoingBack: true})
	over := make(chan struct{})
	var all sync.WaitGroup
	var wrong, decided atomic.Int64
	for n := 0; n < 8; n++ {
		all.Add(1)
		go func() {
			defer all.Done()
			reader, tester := typical("GET", "/orders", readerKey), browser("GET", "/orders", testerKey)
			handler := keyward.Handler(engine, "shop")(http.NotFoundHandler())
			for {
				select {
				case <-over:
					return
				default:
				}
				verdict, err := engine.Verify(reader, "shop")
				if err != nil || !verdict.Allowed() || verdict.KeyID() != "reader" || verdict.Tenant() != "acme" {
					wrong.Add(1)
				}
				verdict, err = engine.Verify(tester, "shop")
				if err != nil || verdict.Allowed() != (verdict.Generation() == 1) {
					wrong.Add(1)
				}
				verdict, err = engine.VerifyKey("files", "archive-0123456789abcdef")
				if err != nil || verdict.KeyID() != "archive" {
					wrong.Add(1)
				}
				answer := &statusOnly{header: http.Header{}}
				handler.ServeHTTP(answer, tester)
				if answer.status != http.StatusNotFound && answer.status != http.StatusUnauthorized {
					wrong.Add(1)
				}
				decided.Add(4)
			}
		}()
	}
	// Both generations are to be seen, however seldom the goroutines have a turn.
	hasSeenBoth := func() bool {
		counts, err := engine.Counts()
		return err != nil || counts[keyward.ReasonOK] > 0 && counts[keyward.ReasonRevoked] > 0
	}
	end := time.Now().Add(time.Minute)
	for n := 0; n < 200 || !hasSeenBoth() && time.Now().Before(end); n++ {
		next := first
		if n%2 == 1 {
			next = second
		}
		if _, err := engine.ReplaceBytes(next); err != nil {
			t.Fatal(err)
		}
		if _, err := engine.Info(); err != nil {
			t.Fatal(err)
		}
	}
	close(over)
	all.Wait()
	if wrong.Load() > 0 {
		t.Errorf("%d of %d decisions are wrong", wrong.Load(), decided.Load())
	}
	counts, err := engine.Counts()
	if err != nil || counts[keyward.ReasonOK] == 0 || counts[keyward.ReasonRevoked] == 0 {
		t.Errorf("%v, %v", counts, err)
	}
}

type statusOnly struct {
	header http.Header
	status int
}

func (s *statusOnly) Header() http.Header            { return s.header }
func (s *statusOnly) WriteHeader(status int)         { s.status = status }
func (s *statusOnly) Write(text []byte) (int, error) { return len(text), nil }
