//go:build cgo && linux && amd64 && go1.26 && !go1.27 && !race && !msan && !asan && !keyward_cgocall

package keyward

// #include "shim.h"
import "C"

import (
	"net/http"
	"runtime"
	"sync"
	"unsafe"
)

// asmcgocall is what cgo itself calls C with, on the thread's own stack, once it has told the scheduler that the thread may
// be away for long. Those two rounds of locked operations take as long as much of a verify does, and are left out here. So
// the runtime cannot stop the goroutine before the call is done: right for what takes a microsecond, waits for nobody and
// never calls back, and for nothing else.
//
// The runtime promises nothing about it, so this file is for the versions of Go, the system and the processor that it is
// tested with. For all others, with the race detector and sanitizers, and with -tags keyward_cgocall there is direct_not.go.
//
//go:linkname asmcgocall runtime.asmcgocall
//go:noescape
func asmcgocall(function, argument unsafe.Pointer) int32

// callsDirectly says whether this file is in the program.
const callsDirectly = true

// directCall is kw_direct_call, as an address.
var directCall = C.kw_direct_entry()

// The compiler refuses the package where Go's texts and headers are not as C reads them.
var (
	_ = [1]struct{}{}[unsafe.Sizeof("")-C.sizeof_keyward_bytes]
	_ = [1]struct{}{}[unsafe.Sizeof(Header{})-C.sizeof_keyward_header]
	_ = [1]struct{}{}[unsafe.Offsetof(Header{}.Value)-unsafe.Offsetof(C.keyward_header{}.value)]
)

// verify is the way of a request of which nothing is said besides, which has less to carry.
//
// Texts are handed over where they stand, in lists on the goroutine's stack. cgo forbids lists of Go's pointers, because
// things may move while C runs; here nothing can, until C is done.
func (h *handle) verify(r *http.Request, realm string, v *Verdict) Status {
	var few fewHeaders
	list, many := gather(r.Header, few[:])
	asked := C.kw_direct{engine: h.address(), into: (*C.kw_verdict)(unsafe.Pointer(&v.raw))}
	if r.TLS != nil {
		asked.request.flags = flagTLS
	}
	family, address := peer(r)
	asked.request.peer_family = C.uint32_t(family)
	asked.request.peer = textOf(address)
	asked.request.realm = textOf(realm)
	asked.request.method = textOf(r.Method)
	asked.request.path = textOf(target(r))
	asked.request.host = textOf(r.Host)
	asked.request.headers, asked.request.header_count = headersOf(list)
	status := h.ask(&asked, v)
	runtime.KeepAlive(r)
	forget(many)
	return status
}

// verifyKey is the way of a key without options, which has less to carry.
func (h *handle) verifyKey(realm, key string, v *Verdict) Status {
	asked := C.kw_direct{engine: h.address(), into: (*C.kw_verdict)(unsafe.Pointer(&v.raw)), is_key: 1}
	asked.key = textOf(key)
	asked.request.flags = flagUnrouted
	asked.request.realm = textOf(realm)
	return h.ask(&asked, v)
}

// decide is the way of everything else.
func (h *handle) decide(c *call, v *Verdict) Status {
	var few fewHeaders
	list, many := c.list, (*[]Header)(nil)
	if c.fields != nil {
		list, many = gather(c.fields, few[:])
	}
	asked := C.kw_direct{engine: h.address(), into: (*C.kw_verdict)(unsafe.Pointer(&v.raw))}
	asked.key = textOf(c.key)
	if c.isKey {
		asked.is_key = 1
	}
	if c.listScopes {
		asked.list_scopes = 1
	}
	asked.request.flags = C.uint32_t(c.flags)
	asked.request.peer_family = C.uint32_t(c.family)
	asked.request.peer = textOf(c.peer)
	asked.request.realm = textOf(c.realm)
	asked.request.method = textOf(c.method)
	asked.request.path = textOf(c.path)
	asked.request.host = textOf(c.host)
	asked.request.environment = textOf(c.environment)
	if c.hasEnvironment && c.environment == "" {
		// One that is empty is not the same as none.
		asked.request.environment.data = (*C.uint8_t)(unsafe.Pointer(&asked))
	}
	asked.request.headers, asked.request.header_count = headersOf(list)
	if len(c.scopes) > 0 {
		asked.request.scopes = (*C.keyward_bytes)(unsafe.Pointer(&c.scopes[0]))
		asked.request.scope_count = C.size_t(len(c.scopes))
	}
	asked.request.now_seconds = C.uint64_t(c.seconds)
	asked.request.now_nanoseconds = C.uint32_t(c.nanoseconds)
	status := h.ask(&asked, v)
	runtime.KeepAlive(c)
	forget(many)
	return status
}

// ask has it decided. The caller has set all fields: stored through a pointer, the verdict would be taken to live on, and
// be allocated.
func (h *handle) ask(asked *C.kw_direct, v *Verdict) Status {
	asmcgocall(directCall, unsafe.Pointer(asked))
	runtime.KeepAlive(h)
	if v.raw.elsewhere != 0 {
		v.fetch()
	}
	return Status(asked.status)
}

// textOf is a string as C takes it. What is empty has no address.
func textOf(text string) C.keyward_bytes {
	if text == "" {
		return C.keyward_bytes{}
	}
	return C.keyward_bytes{data: (*C.uint8_t)(unsafe.Pointer(unsafe.StringData(text))), len: C.size_t(len(text))}
}

func headersOf(list []Header) (*C.keyward_header, C.size_t) {
	if len(list) == 0 {
		return nil, 0
	}
	return (*C.keyward_header)(unsafe.Pointer(&list[0])), C.size_t(len(list))
}

// fewHeaders are as many as browsers and the proxies before servers make.
type fewHeaders [32]Header

// gather lists the headers in few; or if they are more than that, in memory that forget has to be told of.
func gather(fields http.Header, few []Header) (list []Header, many *[]Header) {
	count := 0
	for name, values := range fields {
		for _, value := range values {
			if count == len(few) {
				many = gatherMany(fields)
				return *many, many
			}
			few[count] = Header{name, value}
			count++
		}
	}
	return few[:count], nil
}

var headerPool = sync.Pool{New: func() any { return new([]Header) }}

func gatherMany(fields http.Header) *[]Header {
	many := headerPool.Get().(*[]Header)
	for name, values := range fields {
		for _, value := range values {
			*many = append(*many, Header{name, value})
		}
	}
	return many
}

// forget gives the list back, and lets go of the request's texts.
func forget(many *[]Header) {
	if many == nil {
		return
	}
	clear(*many)
	*many = (*many)[:0]
	headerPool.Put(many)
}
