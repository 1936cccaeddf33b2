package keyward_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"time"

	keyward "github.com/keyward/keyward/bindings/go"
)

// The snapshot of the examples, which stands for keys.kwd and keyring.toml of a server.
var snapshot, keyring string

func Example() {
	engine, err := keyward.Open(snapshot, keyring, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Close()

	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go engine.Watch(ctx, 100*time.Millisecond, func(changed bool, err error) {
		if err != nil {
			log.Print(err)
		}
	})

	orders := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "orders of %s", keyward.Tenant(r.Context()))
	})
	mux := http.NewServeMux()
	mux.Handle("/orders", keyward.Handler(engine, "shop")(orders))
	server := httptest.NewServer(mux)
	defer server.Close()

	for _, key := range []string{"sk_live_0123456789abcdef", "sk_live_ffffffffffffffff"} {
		r, _ := http.NewRequest("GET", server.URL+"/orders", nil)
		r.Header.Set("Authorization", "Bearer "+key)
		response, err := server.Client().Do(r)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("%d %q\n", response.StatusCode, response.Header.Get("WWW-Authenticate"))
	}
	// Output:
	// 200 ""
	// 401 "Bearer realm=\"Shop\", error=\"invalid_token\""
}

func ExampleEngine_Verify() {
	engine, err := keyward.Open(snapshot, keyring, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Close()

	handle := func(w http.ResponseWriter, r *http.Request) {
		verdict, err := engine.Verify(r, "shop", keyward.WithEnvironment("live"))
		if err != nil || !verdict.Allowed() {
			// The answer is for the client, the verdict for your logs. Where nothing was decided it is 503.
			log.Print(verdict, err)
			if answer, err := engine.Answer("shop", verdict); err == nil {
				answer.Send(w)
			}
			return
		}
		fmt.Fprintf(w, "hello %s of %s", verdict.KeyID(), verdict.Tenant())
	}

	r := httptest.NewRequest("GET", "/orders", nil)
	r.Header.Set("Authorization", "Bearer sk_live_0123456789abcdef")
	w := httptest.NewRecorder()
	handle(w, r)
	fmt.Println(w.Code, w.Body)
	// Output: 200 hello reader of acme
}

func ExampleEngine_VerifyKey() {
	engine, err := keyward.Open(snapshot, keyring, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Close()

	for _, key := range []string{"archive-0123456789abcdef", "nobody's-0123456789abcdef"} {
		verdict, err := engine.VerifyKey("files", key)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(verdict)
	}
	// Output:
	// allow, key archive
	// deny unknown_key
}

func ExampleEngine_IssueToken() {
	engine, err := keyward.Open(snapshot, keyring, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer engine.Close()

	login := func(w http.ResponseWriter, r *http.Request) {
		token, verdict, err := engine.IssueToken(r, "hub", nil)
		if err != nil {
			if answer, err := engine.Answer("hub", verdict); err == nil {
				answer.Send(w)
			}
			return
		}
		fmt.Fprint(w, token)
	}

	r := httptest.NewRequest("POST", "/login", nil)
	r.SetBasicAuth("app", "app-secret-0123456789")
	issued := httptest.NewRecorder()
	login(issued, r)

	r = httptest.NewRequest("GET", "/things", nil)
	r.Header.Set("Authorization", "Bearer "+issued.Body.String())
	fmt.Println(engine.Verify(r, "hub"))
	// Output: allow, key app <nil>
}

func ExampleVerdict_Err() {
	var verdict keyward.Verdict
	err := verdict.Err()
	var denied *keyward.DeniedError
	fmt.Println(errors.Is(err, keyward.ErrDenied), errors.As(err, &denied), denied.Reason)
	// Output: true true none
}

func ExampleStatus() {
	_, err := keyward.Open("/none/keys.kwd", keyring, nil)
	fmt.Println(errors.Is(err, keyward.ErrNotFound))
	// Output: true
}
