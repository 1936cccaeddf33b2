// Package keyward verifies API keys inside the server's own process, over keyward's C interface.
//
// An [Engine] decides requests from a snapshot file that `keyward build` makes. What is decided, and what a refused
// client is told, is the same as everywhere else: docs/DECISIONS.md.
//
//	engine, err := keyward.Open("keys.kwd", "keyring.toml", nil)
//	if err != nil {
//		log.Fatal(err)
//	}
//	go engine.Watch(ctx, 100*time.Millisecond, nil)
//	http.Handle("/v1/", keyward.Handler(engine, "billoget")(api))
//
// Only [Verdict.Allowed] lets a request in. The zero Verdict denies, and so does that of a call that failed.
//
// # Building
//
// By default cgo asks pkg-config for an installed keyward (`make install`). With the build tag keyward_static the library
// is linked in from bindings/go/lib (`make go`), and the program needs nothing of keyward where it runs. Without cgo the
// package builds, and [Open] returns [ErrNoCgo].
package keyward
