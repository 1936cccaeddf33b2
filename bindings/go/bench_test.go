package keyward_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	keyward "github.com/keyward/keyward/bindings/go"
)

// typical is a request with what a program sends, as net/http hands it to a handler.
func typical(method, target, key string) *http.Request {
	r := httptest.NewRequest(method, target, nil)
	r.RemoteAddr = "203.0.113.7:40000"
	r.Host = "api.example.com"
	r.Header = http.Header{
		"Authorization":   {"Bearer " + key},
		"Accept":          {"application/json"},
		"Accept-Encoding": {"gzip"},
		"User-Agent":      {"Go-http-client/1.1"},
	}
	return r
}

// browser has as many headers as browsers and the proxies before servers make of it.
func browser(method, target, key string) *http.Request {
	r := typical(method, target, key)
	for _, name := range []string{"Accept-Language", "Cache-Control", "Cookie", "Origin", "Pragma", "Referer", "Sec-Ch-Ua",
		"Sec-Fetch-Dest", "Sec-Fetch-Mode", "X-Forwarded-For", "X-Forwarded-Proto", "X-Request-Id"} {
		r.Header.Set(name, "a value of forty bytes, more or less, ok")
	}
	return r
}

func BenchmarkVerifyKey(b *testing.B) {
	engine := shopFiles(b).open(b, nil)
	b.ReportAllocs()
	for i := 0; i < b.N; i++ {
		if verdict, err := engine.VerifyKey("shop", readerKey); err != nil || !verdict.Allowed() {
			b.Fatal(verdict, err)
		}
	}
}

func benchmarkVerify(b *testing.B, r *http.Request, options ...keyward.Option) {
	engine := shopFiles(b).open(b, nil)
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		if verdict, err := engine.Verify(r, "shop", options...); err != nil || !verdict.Allowed() {
			b.Fatal(verdict, err)
		}
	}
}

func BenchmarkVerify(b *testing.B) { benchmarkVerify(b, typical("GET", "/orders", readerKey)) }

func BenchmarkVerifyBrowser(b *testing.B) { benchmarkVerify(b, browser("GET", "/orders", readerKey)) }

func BenchmarkVerifyWithOptions(b *testing.B) {
	benchmarkVerify(b, typical("GET", "/orders", readerKey), keyward.WithEnvironment("live"), keyward.WithScopes("orders:read"))
}

func BenchmarkVerifyParallel(b *testing.B) {
	engine := shopFiles(b).open(b, nil)
	b.ReportAllocs()
	b.RunParallel(func(p *testing.PB) {
		r := typical("GET", "/orders", readerKey)
		for p.Next() {
			if verdict, err := engine.Verify(r, "shop"); err != nil || !verdict.Allowed() {
				b.Fatal(verdict, err)
			}
		}
	})
}

func BenchmarkHandler(b *testing.B) {
	engine := shopFiles(b).open(b, nil)
	handler := keyward.Handler(engine, "shop")(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	r, w := typical("GET", "/orders", readerKey), httptest.NewRecorder()
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		handler.ServeHTTP(w, r)
	}
}

func BenchmarkRefused(b *testing.B) {
	engine := shopFiles(b).open(b, nil)
	handler := keyward.Handler(engine, "shop")(http.NotFoundHandler())
	r := typical("GET", "/orders", "sk_live_ffffffffffffffff")
	b.ReportAllocs()
	b.ResetTimer()
	for i := 0; i < b.N; i++ {
		handler.ServeHTTP(httptest.NewRecorder(), r)
	}
}
