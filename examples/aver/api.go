package main

import (
	"encoding/json"
	"errors"
	"log"
	"net/http"
	"sync"

	keyward "github.com/keyward/keyward/bindings/go"
)

// realm is the one of profiles/aver/keyward.toml, which says what each path needs.
const realm = "aver"

// newAPI is the whole API. Nothing in it looks at keys, secrets or tokens: keyward does.
func newAPI(engine *keyward.Engine) http.Handler {
	api := http.NewServeMux()
	api.Handle("/api/invoices", &invoices{byTenant: map[string][]invoice{}})
	api.HandleFunc("/api/me", me)

	mux := http.NewServeMux()
	mux.Handle("/", keyward.Handler(engine, realm, keyward.WithReport(report))(api))
	mux.Handle("/api/auth", exchange(engine))
	return mux
}

// report tells operators what clients are not told.
func report(r *http.Request, verdict keyward.Verdict, err error) {
	if err != nil {
		log.Printf("%s %s: %v", r.Method, r.URL.Path, err)
	} else if !verdict.Allowed() {
		log.Printf("%s %s: %v", r.Method, r.URL.Path, verdict)
	}
}

// exchange gives a token for a key and its secret. The decision about the request and the token are one call, so that
// a token is bound to the very key that was good.
func exchange(engine *keyward.Engine) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, verdict, err := engine.IssueToken(r, realm, nil)
		if err != nil {
			report(r, verdict, nil)
			// Where nothing was decided, the verdict says nothing, and the answer is 503.
			answer, failed := engine.Answer(realm, verdict)
			if failed != nil || verdict.Allowed() || !errors.Is(err, keyward.ErrDenied) {
				log.Print(err)
				http.Error(w, http.StatusText(http.StatusServiceUnavailable), http.StatusServiceUnavailable)
				return
			}
			answer.Send(w)
			return
		}
		w.Header().Set("Cache-Control", "no-store")
		reply(w, http.StatusOK, map[string]any{"token": token, "expires_in": 3600})
	})
}

// me says who the token is for.
func me(w http.ResponseWriter, r *http.Request) {
	reply(w, http.StatusOK, map[string]string{
		"key": keyward.KeyID(r.Context()), "account": keyward.Tenant(r.Context()), "unique_name": keyward.Subject(r.Context()),
	})
}

type invoice struct {
	Number int    `json:"number"`
	Amount int    `json:"amount"`
	By     string `json:"by"`
}

// invoices belong to an account: the tenant of the key that the token is bound to. A real server has a database.
type invoices struct {
	mutex    sync.Mutex
	byTenant map[string][]invoice
}

func (i *invoices) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	tenant := keyward.Tenant(r.Context())
	i.mutex.Lock()
	defer i.mutex.Unlock()
	switch r.Method {
	case http.MethodGet, http.MethodHead:
		reply(w, http.StatusOK, append([]invoice{}, i.byTenant[tenant]...))
	case http.MethodPost:
		var sent struct{ Amount int }
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<10)).Decode(&sent); err != nil {
			reply(w, http.StatusBadRequest, map[string]string{"error": "an invoice is an object with an amount"})
			return
		}
		made := invoice{Number: len(i.byTenant[tenant]) + 1, Amount: sent.Amount, By: keyward.KeyID(r.Context())}
		i.byTenant[tenant] = append(i.byTenant[tenant], made)
		reply(w, http.StatusCreated, made)
	default:
		reply(w, http.StatusMethodNotAllowed, map[string]string{"error": "GET or POST"})
	}
}

func reply(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	// A client that has gone is nobody's to tell.
	_ = json.NewEncoder(w).Encode(value)
}
