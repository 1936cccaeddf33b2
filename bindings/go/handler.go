package keyward

import (
	"context"
	"net/http"
)

// Handler is middleware: it passes on what the realm allows, with the verdict in the request's context, and answers
// everything else with the realm's words. Where the engine cannot decide, it answers 503.
//
//	mux.Handle("/v1/", keyward.Handler(engine, "billoget")(api))
//
// A snapshot that lacks the realm refuses every request with 503: ask [Engine.CheckRealm] before serving.
func Handler(engine *Engine, realm string, options ...Option) func(http.Handler) http.Handler {
	s := settingsOf(options)
	return func(next http.Handler) http.Handler {
		return &guard{engine: engine, realm: realm, settings: &s, next: next}
	}
}

type guard struct {
	engine   *Engine
	realm    string
	settings *settings
	next     http.Handler
}

func (g *guard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// The context is made before it is known whether it is needed, so that the verdict is written where it stays.
	ctx := &verdictContext{Context: r.Context()}
	err := g.engine.verify(r, g.realm, g.settings, &ctx.verdict)
	if g.settings.report != nil {
		g.settings.report(r, ctx.verdict, err)
	}
	if err != nil {
		unavailable().Send(w)
		return
	}
	if !ctx.verdict.Allowed() {
		answer, err := g.engine.Answer(g.realm, ctx.verdict)
		if err != nil {
			answer = unavailable()
		}
		answer.Send(w)
		return
	}
	next := r.WithContext(ctx)
	if g.settings.hide {
		header, err := g.engine.withoutCredentials(g.realm, r.Header)
		if err != nil {
			unavailable().Send(w)
			return
		}
		next.Header = header
	}
	g.next.ServeHTTP(w, next)
}

// withoutCredentials returns a copy without the headers that the realm takes credentials from, or that somebody behind
// may read as one of them.
func (e *Engine) withoutCredentials(realm string, sent http.Header) (http.Header, error) {
	h := e.held()
	if h == nil {
		return nil, newError("hide credentials", ErrClosed, "")
	}
	kept := make(http.Header, len(sent))
	for name, values := range sent {
		kept[name] = values
	}
	for index := 0; ; index++ {
		credential, status := h.credentialHeader(realm, index)
		switch status {
		case statusOK:
		case statusEnd:
			return kept, nil
		default:
			return nil, newError("hide credentials", status, "")
		}
		for name := range kept {
			if sameOnceFolded(name, credential) {
				delete(kept, name)
			}
		}
	}
}

func sameOnceFolded(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := 0; i < len(a); i++ {
		if folded(a[i]) != folded(b[i]) {
			return false
		}
	}
	return true
}

func folded(c byte) byte {
	switch {
	case c == '_' || c == '.':
		return '-'
	case 'A' <= c && c <= 'Z':
		return c + 'a' - 'A'
	}
	return c
}

// verdictContext is a context and its value in one piece.
type verdictContext struct {
	context.Context
	verdict Verdict
}

type contextKey struct{}

func (c *verdictContext) Value(key any) any {
	if _, is := key.(contextKey); is {
		return c
	}
	return c.Context.Value(key)
}

// FromContext returns the verdict that a [Handler] let the request in with, and whether there is one. Without one it is
// the zero Verdict, which denies.
func FromContext(ctx context.Context) (Verdict, bool) {
	if c, is := ctx.Value(contextKey{}).(*verdictContext); is {
		return c.verdict, true
	}
	return Verdict{}, false
}

// KeyID returns the id of the key that a [Handler] let the request in with; empty where there is none, as on a public
// route.
func KeyID(ctx context.Context) string {
	verdict, _ := FromContext(ctx)
	return verdict.KeyID()
}

// Tenant returns the tenant of the key that a [Handler] let the request in with; empty where there is none.
func Tenant(ctx context.Context) string {
	verdict, _ := FromContext(ctx)
	return verdict.Tenant()
}

// Environment returns the environment of the key that a [Handler] let the request in with; empty where there is none.
func Environment(ctx context.Context) string {
	verdict, _ := FromContext(ctx)
	return verdict.Environment()
}

// Subject returns whom the token is about that a [Handler] let the request in with; empty where there is none.
func Subject(ctx context.Context) string {
	verdict, _ := FromContext(ctx)
	subject, _ := verdict.Subject()
	return subject
}

// Scopes returns all scopes of the key that a [Handler] with [WithListedScopes] let the request in with; nil where there
// are none, or where they are not known.
func Scopes(ctx context.Context) []string {
	verdict, _ := FromContext(ctx)
	scopes, _ := verdict.Scopes()
	return scopes
}
