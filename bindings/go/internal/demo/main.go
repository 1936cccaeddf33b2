// Demo is `make demo-go`: Billoget's API on net/http on loopback, requests that are verified, refused and limited, and a
// key that is revoked while it is in use.
//
//	demo KEYWARD PROFILE      the keyward command, and the folder profiles/billoget
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	keyward "github.com/keyward/keyward/bindings/go"
)

const (
	realm   = "billoget"
	budgets = "/v1/api/public/budgets"
	reader  = "bk_live_1234567890abcdef"
	all     = "bk_live_1234567890abcdef1234567890abcdef"
	hourly  = "bk_live_00000000000000000000000000000006"
	// Keys besides the samples, so that the snapshot has some size.
	made = 200_000
	// How often the server looks for a new generation.
	interval = 50 * time.Millisecond
)

var calls = []struct {
	what, method, path, key string
	status                  int
}{
	{"a key that may read", "GET", budgets, reader, 200},
	{"the same key writes", "POST", budgets, reader, 403},
	{"a key that may do everything", "POST", budgets, all, 200},
	{"no key", "GET", budgets, "", 401},
	{"a key that nobody has", "GET", budgets, "bk_live_ffffffffffffffff", 401},
	{"a key from another address", "GET", budgets, "bk_live_0ff1ce000000000000000000000000ff", 403},
	{"a suspended key", "GET", budgets, "bk_live_00000000000000000000000000000003", 403},
	{"a path of two readings", "GET", "/v1/api//public/budgets", reader, 400},
	{"a key for once an hour", "GET", budgets, hourly, 200},
	{"once more", "GET", budgets, hourly, 429},
}

func main() {
	log.SetFlags(0)
	if len(os.Args) != 3 {
		log.Fatal("usage: demo KEYWARD PROFILE")
	}
	wrong, err := play(os.Args[1], os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	if wrong > 0 {
		log.Fatalf("%d answers are not as they should be", wrong)
	}
}

func play(command, profile string) (wrong int, err error) {
	folder, err := os.MkdirTemp("", "keyward-demo-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(folder)
	p := &publisher{command: command, profile: profile, folder: folder}
	if err := p.run("keyring", "new", "-o", p.in("keyring.toml")); err != nil {
		return 0, err
	}
	samples, err := os.ReadFile(filepath.Join(profile, "keys.jsonl"))
	if err != nil {
		return 0, err
	}
	var keys strings.Builder
	keys.Write(samples)
	for number := 0; number < made; number++ {
		fmt.Fprintf(&keys, `{"realm":"billoget","id":"made-%d","key":"bk_live_%032x","environment":"live"}`+"\n", number, number+1_000_000)
	}
	if err := p.build(keys.String(), 1, "keys.kwd"); err != nil {
		return 0, err
	}
	// The next generation, in which a key is revoked.
	if err := p.build(strings.Replace(keys.String(), `"id":"live-all"`, `"id":"live-all","status":"revoked"`, 1), 2, "next.kwd"); err != nil {
		return 0, err
	}

	engine, err := keyward.Open(p.in("keys.kwd"), p.in("keyring.toml"), nil)
	if err != nil {
		return 0, err
	}
	defer engine.Close()
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go engine.Watch(ctx, interval, func(_ bool, err error) {
		if err != nil {
			log.Print(err)
		}
	})

	s := &server{}
	api := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "for key %s of tenant %s", keyward.KeyID(r.Context()), keyward.Tenant(r.Context()))
	})
	s.Server = httptest.NewTLSServer(keyward.Handler(engine, realm, keyward.WithReport(s.note))(api))
	defer s.Close()
	info, err := engine.Info()
	if err != nil {
		return 0, err
	}
	fmt.Printf("net/http on %s with %d keys, %d bytes, mapped\n\n", s.URL, info.Keys, info.Bytes)

	for _, call := range calls {
		status, header, body, err := s.ask(call.method, call.path, call.key)
		if err != nil {
			return wrong, err
		}
		retry := header.Get("Retry-After")
		if retry != "" {
			retry = "  Retry-After: " + retry
		}
		fmt.Printf("  %-29s %-4s %d  %-20s %s%s\n", call.what, call.method, status, s.reason(), body, retry)
		if status != call.status {
			fmt.Printf("  %-29s WRONG: it should be %d\n", "", call.status)
			wrong++
		}
	}
	late, err := revoke(p, s)
	if err != nil {
		return wrong, err
	}
	counts, err := engine.Counts()
	if err != nil {
		return wrong, err
	}
	fmt.Printf("\nDecisions by reason: %v\n", counts)
	return wrong + late, nil
}

// server keeps the last decision, as a server's log would.
type server struct {
	*httptest.Server
	mutex sync.Mutex
	last  keyward.Verdict
}

func (s *server) note(_ *http.Request, verdict keyward.Verdict, _ error) {
	s.mutex.Lock()
	s.last = verdict
	s.mutex.Unlock()
}

func (s *server) reason() keyward.Reason {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.last.Reason()
}

func (s *server) ask(method, path, key string) (int, http.Header, string, error) {
	r, err := http.NewRequest(method, s.URL+path, nil)
	if err != nil {
		return 0, nil, "", err
	}
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	response, err := s.Client().Do(r)
	if err != nil {
		return 0, nil, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response.StatusCode, response.Header, string(body), err
}

// sent is a request with the key that is revoked: when it was sent and answered, and how.
type sent struct {
	at, answered time.Time
	status       int
}

// revoke publishes a generation in which a key is revoked, while the key is in use. It returns how often the key was let in
// once it had been refused.
func revoke(p *publisher, s *server) (late int, err error) {
	over := make(chan struct{})
	var senders sync.WaitGroup
	var mutex sync.Mutex
	var answers []sent
	var failed error
	for n := 0; n < 2; n++ {
		senders.Add(1)
		go func() {
			defer senders.Done()
			for {
				select {
				case <-over:
					return
				// Fewer than the key may send in an hour.
				case <-time.After(8 * time.Millisecond):
				}
				at := time.Now()
				status, _, _, err := s.ask("GET", budgets, all)
				mutex.Lock()
				answers = append(answers, sent{at, time.Now(), status})
				if err != nil {
					failed = err
				}
				mutex.Unlock()
			}
		}()
	}
	time.Sleep(500 * time.Millisecond)
	err = os.Rename(p.in("next.kwd"), p.in("keys.kwd"))
	published := time.Now()
	time.Sleep(700 * time.Millisecond)
	close(over)
	senders.Wait()
	if err != nil {
		return 0, err
	}
	if failed != nil {
		return 0, failed
	}
	var first time.Time
	letIn, refused := 0, 0
	for _, one := range answers {
		switch one.status {
		case http.StatusOK:
			letIn++
		case http.StatusUnauthorized:
			refused++
			if first.IsZero() || one.answered.Before(first) {
				first = one.answered
			}
		}
	}
	if letIn == 0 || refused == 0 || letIn+refused != len(answers) {
		return 0, fmt.Errorf("of %d requests %d were let in and %d refused", len(answers), letIn, refused)
	}
	for _, one := range answers {
		if one.status == http.StatusOK && one.at.After(first) {
			late++
		}
	}
	fmt.Printf("\nThe key that may do everything is in use, and is revoked: the next generation is renamed into its place.\n"+
		"%d requests were let in; the first refusal came %d ms after the publish, and %d requests were refused.\n"+
		"Let in after it had been refused once: %d\n",
		letIn, first.Sub(published).Milliseconds(), refused, late)
	return late, nil
}

type publisher struct {
	command, profile, folder string
}

func (p *publisher) in(name string) string { return filepath.Join(p.folder, name) }

func (p *publisher) run(arguments ...string) error {
	if said, err := exec.Command(p.command, arguments...).CombinedOutput(); err != nil {
		return fmt.Errorf("keyward %s: %w: %s", arguments[0], err, said)
	}
	return nil
}

func (p *publisher) build(keys string, generation int, name string) error {
	if err := os.WriteFile(p.in("keys.jsonl"), []byte(keys), 0o600); err != nil {
		return err
	}
	return p.run("build", "--config", filepath.Join(p.profile, "keyward.toml"), "--keyring", p.in("keyring.toml"),
		"--keys", p.in("keys.jsonl"), "--generation", fmt.Sprint(generation), "-o", p.in(name))
}
