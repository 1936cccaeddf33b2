//go:build cgo && !(linux && amd64 && go1.26 && !go1.27 && !race && !msan && !asan && !keyward_cgocall)

package keyward

// #include "shim.h"
import "C"

import (
	"net/http"
	"runtime"
	"unsafe"
)

// callsDirectly says whether direct.go is in the program. Where it is not, decisions are asked for as cgo has it.
const callsDirectly = false

// verify is the way of a request of which nothing is said besides, which has less to carry.
func (h *handle) verify(r *http.Request, realm string, v *Verdict) Status {
	flags := C.uint32_t(0)
	if r.TLS != nil {
		flags = flagTLS
	}
	family, address := peer(r)
	l := newLists()
	headers := l.addHeaders(r.Header)
	status := Status(C.kw_verify(h.address(), flags, C.uint32_t(family), realm, r.Method, target(r), r.Host, address,
		l.texts(), C.size_t(headers), (*C.kw_verdict)(unsafe.Pointer(&v.raw))))
	l.free()
	return h.decided(status, v)
}

// verifyKey is the way of a key without options, which has less to carry.
func (h *handle) verifyKey(realm, key string, v *Verdict) Status {
	return h.decided(Status(C.kw_verify_key(h.address(), key, realm, (*C.kw_verdict)(unsafe.Pointer(&v.raw)))), v)
}

// decide is the way of everything else.
func (h *handle) decide(c *call, v *Verdict) (status Status) {
	l := newLists()
	headers := l.add(c)
	if c.isKey {
		status = Status(C.kw_verify_key_with(h.address(), c.key, C.uint32_t(c.flags), C.uint32_t(c.family), truth(c.hasEnvironment),
			c.realm, c.method, c.path, c.host, c.peer, c.environment, l.texts(), C.size_t(headers), C.size_t(len(c.scopes)),
			C.uint64_t(c.seconds), C.uint32_t(c.nanoseconds), truth(c.listScopes), (*C.kw_verdict)(unsafe.Pointer(&v.raw))))
	} else {
		status = Status(C.kw_verify_with(h.address(), C.uint32_t(c.flags), C.uint32_t(c.family), truth(c.hasEnvironment), c.realm,
			c.method, c.path, c.host, c.peer, c.environment, l.texts(), C.size_t(headers), C.size_t(len(c.scopes)),
			C.uint64_t(c.seconds), C.uint32_t(c.nanoseconds), truth(c.listScopes), (*C.kw_verdict)(unsafe.Pointer(&v.raw))))
	}
	l.free()
	return h.decided(status, v)
}

func (h *handle) decided(status Status, v *Verdict) Status {
	runtime.KeepAlive(h)
	if v.raw.elsewhere != 0 {
		v.fetch()
	}
	return status
}
