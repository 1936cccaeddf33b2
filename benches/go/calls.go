package main

/*
#cgo CFLAGS: -I${SRCDIR}/../../bindings/go/lib
#cgo LDFLAGS: -L${SRCDIR}/../../bindings/go/lib -l:libkeyward.a -lpthread -lm -ldl -lrt -lutil
#include <keyward.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

// What cgo itself costs.
static void nothing(void) {}

static double thread_time(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return 1e9 * (double)time.tv_sec + (double)time.tv_nsec;
}

static keyward_engine *open_engine(char *snapshot, char *keyring)
{
    keyward_bytes paths[2] = {{(const uint8_t *)snapshot, strlen(snapshot)}, {(const uint8_t *)keyring, strlen(keyring)}};
    keyward_engine *engine = NULL;
    keyward_open(paths[0], paths[1], NULL, 0, &engine, NULL, 0);
    return engine;
}

#define TEXT(text) {(const uint8_t *)(text), sizeof(text) - 1}

// How many of the keys, each `length` bytes, are let in: the C call as a C program makes it.
static size_t keys_in_c(keyward_engine *engine, const char *keys, size_t length, size_t count)
{
    const keyward_bytes realm = TEXT("api");
    keyward_request request;
    keyward_verdict verdict;
    size_t at, allowed = 0;

    memset(&request, 0, sizeof request);
    request.flags = KEYWARD_NO_ROUTING;
    request.realm = realm;
    for (at = 0; at < count; ++at) {
        keyward_bytes key = {(const uint8_t *)keys + at * length, length};
        keyward_verify_key(engine, key, &request, sizeof request, &verdict, sizeof verdict);
        allowed += verdict.decision == KEYWARD_ALLOW;
    }
    return allowed;
}

// The same with whole requests. `values` are those of the Authorization header.
static size_t requests_in_c(keyward_engine *engine, const char *values, size_t length, size_t count)
{
    const keyward_bytes realm = TEXT("api"), method = TEXT("GET"), path = TEXT("/v1/orders"), host = TEXT("api.example.com");
    const keyward_bytes peer = TEXT("203.0.113.7");
    keyward_header headers[] = {
        {TEXT("Authorization"), TEXT("")},
        {TEXT("Accept"), TEXT("application/json")},
        {TEXT("Accept-Encoding"), TEXT("gzip")},
        {TEXT("User-Agent"), TEXT("Go-http-client/1.1")},
    };
    keyward_request request;
    keyward_verdict verdict;
    size_t at, allowed = 0;

    memset(&request, 0, sizeof request);
    request.realm = realm;
    request.method = method;
    request.path = path;
    request.host = host;
    request.peer = peer;
    request.headers = headers;
    request.header_count = sizeof headers / sizeof *headers;
    for (at = 0; at < count; ++at) {
        headers[0].value.data = (const uint8_t *)values + at * length;
        headers[0].value.len = length;
        keyward_verify(engine, &request, sizeof request, &verdict, sizeof verdict);
        allowed += verdict.decision == KEYWARD_ALLOW;
    }
    return allowed;
}
*/
import "C"

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"runtime"
	"sort"
	"strings"
	"unsafe"

	keyward "github.com/keyward/keyward/bindings/go"
)

// A contender checks so many keys in a turn, which is shorter than an operating system lets a process run. callRounds is
// how often each has a turn.
const (
	batch      = 2_000
	callRounds = 301
)

// contender checks keys[from:from+batch], and returns how many are let in.
type contender struct {
	name string
	// What it is compared with: the C call that it makes; empty: nothing.
	over  string
	check func(from int) int
}

func compareCalls(folder string, count int) ([]Call, error) {
	// Processor time is counted for this thread.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	engine, err := keyward.Open(snapshotIn(folder), keyringIn(folder), nil)
	if err != nil {
		return nil, err
	}
	defer engine.Close()
	paths := [2]*C.char{C.CString(snapshotIn(folder)), C.CString(keyringIn(folder))}
	inC := C.open_engine(paths[0], paths[1])
	if inC == nil {
		return nil, errors.New("the engine of the C loop could not be opened")
	}
	defer C.keyward_release(inC)

	keys := shuffled(count)
	known := make(map[[32]byte]int, count)
	for i, key := range keys {
		known[sha256.Sum256([]byte(key))] = i
	}
	// As many as are at work at a time: a server's requests are in its caches, for it has just read them.
	requests, sent := make([]*http.Request, 16), make([][]string, 16)
	values := make([]string, count)
	for i, key := range keys {
		values[i] = "Bearer " + key
	}
	for i := range requests {
		requests[i] = &http.Request{
			Method: "GET", RequestURI: "/v1/orders", URL: &url.URL{Path: "/v1/orders"}, Host: "api.example.com",
			RemoteAddr: "203.0.113.7:40000",
			Header: http.Header{"Authorization": {""}, "Accept": {"application/json"}, "Accept-Encoding": {"gzip"},
				"User-Agent": {"Go-http-client/1.1"}},
		}
		sent[i] = requests[i].Header["Authorization"]
	}
	flatKeys, flatValues := []byte(strings.Join(keys, "")), []byte(strings.Join(values, ""))
	contenders := []contender{
		{"map[[32]byte] with SHA-256", "", func(from int) (allowed int) {
			for _, key := range keys[from : from+batch] {
				if _, is := known[sha256.Sum256([]byte(key))]; is {
					allowed++
				}
			}
			return allowed
		}},
		{"an empty C function", "", func(int) int {
			for i := 0; i < batch; i++ {
				C.nothing()
			}
			return batch
		}},
		{"keyward_verify_key in C", "", func(from int) int {
			return int(C.keys_in_c(inC, (*C.char)(unsafe.Pointer(&flatKeys[from*len(keys[0])])), C.size_t(len(keys[0])), batch))
		}},
		{"Engine.VerifyKey", "keyward_verify_key in C", func(from int) (allowed int) {
			for _, key := range keys[from : from+batch] {
				if verdict, err := engine.VerifyKey("api", key); err == nil && verdict.Allowed() {
					allowed++
				}
			}
			return allowed
		}},
		{"keyward_verify in C", "", func(from int) int {
			return int(C.requests_in_c(inC, (*C.char)(unsafe.Pointer(&flatValues[from*len(values[0])])), C.size_t(len(values[0])), batch))
		}},
		{"Engine.Verify(*http.Request)", "keyward_verify in C", func(from int) (allowed int) {
			for i, value := range values[from : from+batch] {
				sent[i%len(sent)][0] = value
				if verdict, err := engine.Verify(requests[i%len(requests)], "api"); err == nil && verdict.Allowed() {
					allowed++
				}
			}
			return allowed
		}},
	}
	if most := batch * len(contenders); count < most {
		return nil, fmt.Errorf("%d keys are fewer than a round takes: %d", count, most)
	}
	times := make([][]float64, len(contenders))
	allocations := make([]float64, len(contenders))
	for round := -1; round < callRounds; round++ {
		for i, one := range contenders {
			// Keys of its own: those that another has just asked about are still in the processor's caches.
			from := ((round+1)*len(contenders) + i) * batch % (count - batch + 1)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			start := threadTime()
			if allowed := one.check(from); allowed != batch {
				return nil, fmt.Errorf("%s let in %d of %d", one.name, allowed, batch)
			}
			took := threadTime() - start
			runtime.ReadMemStats(&after)
			// The first round warms up.
			if round >= 0 {
				times[i] = append(times[i], took/batch)
				allocations[i] = float64((after.Mallocs - before.Mallocs) / batch)
			}
		}
	}
	place := make(map[string]int, len(contenders))
	for i, one := range contenders {
		place[one.name] = i
	}
	calls := make([]Call, len(contenders))
	for i, one := range contenders {
		ratios, differences := make([]float64, callRounds), make([]float64, callRounds)
		for round := range ratios {
			ratios[round] = times[i][round] / times[0][round]
			if one.over != "" {
				differences[round] = times[i][round] - times[place[one.over]][round]
			}
		}
		calls[i] = Call{Name: one.name, Nanoseconds: median(times[i]), Ratio: median(ratios), Allocations: allocations[i]}
		if one.over != "" {
			over := median(differences)
			calls[i].Over = &over
		}
	}
	return calls, nil
}

// threadTime is the processor time of this thread, in nanoseconds.
func threadTime() float64 { return float64(C.thread_time()) }

func median(numbers []float64) float64 {
	sorted := append([]float64(nil), numbers...)
	sort.Float64s(sorted)
	return sorted[len(sorted)/2]
}
