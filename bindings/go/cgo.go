//go:build cgo

package keyward

// #include "shim.h"
import "C"

import (
	"fmt"
	"runtime"
	"time"
	"unsafe"
)

// The numbers of the header that files without cgo need.
const (
	flagTLS       = C.KEYWARD_TLS
	flagUnrouted  = C.KEYWARD_NO_ROUTING
	flagHasNow    = C.KEYWARD_HAS_NOW
	familyText    = C.KEYWARD_PEER_TEXT
	familyUnix    = C.KEYWARD_PEER_UNIX
	statusOK      = Status(C.KEYWARD_OK)
	statusBuffer  = Status(C.KEYWARD_E_BUFFER)
	statusEnd     = Status(C.KEYWARD_E_END)
	maxHeaders    = C.KEYWARD_RESPONSE_HEADERS
	openLater     = C.KEYWARD_OPEN_LATER
	openGoingBack = C.KEYWARD_GOING_BACK
	modeCopy      = C.KEYWARD_MODE_COPY
	checkWhole    = C.KEYWARD_CHECK_WHOLE
	tokenSize     = C.KEYWARD_TOKEN_SIZE
)

// The compiler refuses the package where Go's structs and C's differ, or the number that lets in.
var (
	_ = [1]struct{}{}[unsafe.Sizeof(raw{})-C.sizeof_kw_verdict]
	_ = [1]struct{}{}[unsafe.Offsetof(raw{}.text)-unsafe.Offsetof(C.kw_verdict{}.text)]
	_ = [1]struct{}{}[unsafe.Offsetof(raw{}.scopesOf)-unsafe.Offsetof(C.kw_verdict{}.scopes_of)]
	_ = [1]struct{}{}[unsafe.Sizeof(layout{})-C.sizeof_kw_answer]
	_ = [1]struct{}{}[C.KEYWARD_ALLOW-allow]
)

// handle owns an engine of the library's. Whoever is in a call holds it; once nobody does, the garbage collector has
// the engine released. So Close waits for nobody, and no call ever meets an engine that is gone.
type handle struct {
	engine *C.keyward_engine
	// An object of less than 16 bytes without Go's pointers may share its memory with others, and would live as long as
	// any of them.
	_ [16]byte
}

// address is the engine as a number, which cgo need not look at: where C's struct is not known to it, it takes time to find
// out at each call that there is no pointer to Go's memory.
func (h *handle) address() C.uintptr_t { return C.uintptr_t(uintptr(unsafe.Pointer(h.engine))) }

func newHandle(engine *C.keyward_engine) *handle {
	h := &handle{engine: engine}
	releaseAfter(h, engine)
	return h
}

func release(engine *C.keyward_engine) { C.keyward_release(engine) }

// checkLibrary compares the library that was found when the program started, or was linked in, with the header.
func checkLibrary() error {
	found, built := uint32(C.keyward_abi_version()), uint32(C.KEYWARD_ABI_VERSION)
	if found>>16 == built>>16 && found >= built {
		return nil
	}
	version := func(number uint32) string { return fmt.Sprintf("%d.%d", number>>16, number&0xffff) }
	return newError("open", ErrLibraryVersion, fmt.Sprintf(
		"found a keyward library of ABI version %s, and this program was built for %s: install that one, or build the program anew",
		version(found), version(built)))
}

func failure(op string, status C.int32_t, said *C.keyward_error) error {
	if Status(status) == statusOK {
		return nil
	}
	return newError(op, Status(status), C.GoStringN(&said.message[0], C.int(said.message_len)))
}

func openFile(snapshot, keyring string, o *Options) (*handle, error) {
	if err := checkLibrary(); err != nil {
		return nil, err
	}
	var engine *C.keyward_engine
	var said C.keyward_error
	status := C.kw_open(snapshot, keyring, C.uint32_t(o.mode()), C.uint32_t(o.check()), C.uint32_t(o.flags()),
		C.uint64_t(o.LimiterSlots), o.State, C.uint64_t(o.StateSlots), &engine, &said)
	if err := failure("open", status, &said); err != nil {
		return nil, err
	}
	return newHandle(engine), nil
}

func openBytes(snapshot []byte, keyring string, o *Options) (*handle, error) {
	if err := checkLibrary(); err != nil {
		return nil, err
	}
	var engine *C.keyward_engine
	var said C.keyward_error
	status := C.kw_open_bytes(bytesOf(snapshot), C.size_t(len(snapshot)), keyring, C.uint32_t(o.mode()), C.uint32_t(o.check()),
		C.uint32_t(o.flags()), C.uint64_t(o.LimiterSlots), o.State, C.uint64_t(o.StateSlots), &engine, &said)
	if err := failure("open", status, &said); err != nil {
		return nil, err
	}
	return newHandle(engine), nil
}

func bytesOf(bytes []byte) *C.uint8_t {
	if len(bytes) == 0 {
		return nil
	}
	return (*C.uint8_t)(unsafe.Pointer(&bytes[0]))
}

// texts of a pool's lists, which have room from the start.
func (l *lists) texts() *C.uint8_t { return (*C.uint8_t)(unsafe.Pointer(&l.bytes[0])) }

func (h *handle) issueToken(c *call, o *TokenOptions, v *Verdict) (string, error) {
	var said C.keyward_error
	var length C.size_t
	token := make([]byte, tokenSize)
	l := newLists()
	defer l.free()
	headers := l.add(c)
	status := C.kw_issue_token(h.engine, C.uint32_t(c.flags), C.uint32_t(c.family), truth(c.hasEnvironment), c.realm, c.method,
		c.path, c.host, c.peer, c.environment, l.texts(), C.size_t(headers), C.size_t(len(c.scopes)),
		C.uint64_t(c.seconds), C.uint32_t(c.nanoseconds), truth(c.listScopes), o.Credential, o.Kid, o.Subject,
		(*C.kw_verdict)(unsafe.Pointer(&v.raw)), (*C.char)(unsafe.Pointer(&token[0])), C.size_t(len(token)), &length, &said)
	runtime.KeepAlive(h)
	if v.raw.elsewhere != 0 {
		v.fetch()
	}
	if err := failure("issue a token", status, &said); err != nil {
		return "", err
	}
	return string(token[:length]), nil
}

func truth(is bool) C.int {
	if is {
		return 1
	}
	return 0
}

// fetch copies the texts that did not fit.
func (v *Verdict) fetch() {
	text := C.kw_elsewhere(C.uint64_t(v.raw.elsewhere))
	v.long = C.GoStringN(text, C.int(v.textLen()))
	v.raw.elsewhere = 0
	C.free(unsafe.Pointer(text))
}

func (h *handle) render(realm string, v *Verdict, scope string, buffer []byte, into *layout) (needed int, status Status) {
	var used C.size_t
	status = Status(C.kw_render(h.engine, realm, (*C.kw_verdict)(unsafe.Pointer(&v.raw)), scope, bytesOf(buffer),
		C.size_t(len(buffer)), &used, (*C.kw_answer)(unsafe.Pointer(into))))
	runtime.KeepAlive(h)
	return int(used), status
}

func (h *handle) reload() (bool, error) {
	var changed C.uint32_t
	var said C.keyward_error
	status := C.kw_reload(h.engine, &changed, &said)
	runtime.KeepAlive(h)
	return changed != 0, failure("reload", status, &said)
}

func (h *handle) replaceBytes(snapshot []byte) (bool, error) {
	var changed C.uint32_t
	var said C.keyward_error
	status := C.kw_replace_bytes(h.engine, bytesOf(snapshot), C.size_t(len(snapshot)), &changed, &said)
	runtime.KeepAlive(h)
	return changed != 0, failure("replace", status, &said)
}

func (h *handle) checkPages() error {
	var said C.keyward_error
	status := C.kw_check_pages(h.engine, &said)
	runtime.KeepAlive(h)
	return failure("check pages", status, &said)
}

func (h *handle) checkRealm(realm string) Status {
	status := Status(C.kw_check_realm(h.engine, realm))
	runtime.KeepAlive(h)
	return status
}

func (h *handle) checkEnvironment(realm, environment string) Status {
	status := Status(C.kw_check_environment(h.engine, realm, environment))
	runtime.KeepAlive(h)
	return status
}

func (h *handle) credentialHeader(realm string, index int) (string, Status) {
	var buffer [512]byte
	var needed C.size_t
	status := Status(C.kw_credential_header(h.engine, realm, C.size_t(index), (*C.char)(unsafe.Pointer(&buffer[0])),
		C.size_t(len(buffer)), &needed))
	runtime.KeepAlive(h)
	if status != statusOK {
		return "", status
	}
	return string(buffer[:needed-1]), status
}

func (h *handle) info() (Info, Status) {
	var told C.keyward_engine_info
	status := Status(C.kw_info(h.engine, &told))
	runtime.KeepAlive(h)
	if status != statusOK {
		return Info{}, status
	}
	has := func(flag C.uint32_t) bool { return told.flags&flag != 0 }
	at := func(nanoseconds C.int64_t) time.Time {
		if nanoseconds == 0 {
			return time.Time{}
		}
		return time.Unix(0, int64(nanoseconds))
	}
	info := Info{
		Loaded:           has(C.KEYWARD_INFO_LOADED),
		Mapped:           has(C.KEYWARD_INFO_MAPPED),
		Checked:          has(C.KEYWARD_INFO_CHECKED),
		Damaged:          has(C.KEYWARD_INFO_DAMAGED),
		StateShared:      has(C.KEYWARD_INFO_STATE_SHARED),
		StateFailed:      has(C.KEYWARD_INFO_STATE_FAILED),
		Generation:       uint64(told.generation),
		BaseGeneration:   uint64(told.base_generation),
		Created:          at(told.created),
		Since:            at(told.since),
		Age:              time.Duration(told.age) * time.Second,
		MaxAge:           time.Duration(told.max_age) * time.Second,
		Keys:             uint64(told.keys),
		Realms:           uint64(told.realms),
		Bytes:            uint64(told.bytes),
		Retired:          uint64(told.retired),
		LimiterSlots:     uint64(told.limiter_slots),
		LimiterDisplaced: uint64(told.limiter_displaced),
		StateCreated:     at(told.state_created),
		StateDisplaced:   uint64(told.state_displaced),
		LastErrorAt:      at(told.last_error_at),
	}
	message := C.GoStringN(&told.last_error_message[0], C.int(told.last_error_message_len))
	if told.last_error != 0 {
		info.LastError = newError("reload", Status(told.last_error), message)
	} else if info.StateFailed {
		info.LastError = newError("state", ErrState, message)
	}
	return info, status
}

func (h *handle) counts(into []uint64) Status {
	status := Status(C.keyward_counts(h.engine, (*C.uint64_t)(unsafe.Pointer(&into[0])), C.size_t(len(into))))
	runtime.KeepAlive(h)
	return status
}

func nameOfReason(reason Reason) string { return C.GoString(C.keyward_reason_name(C.uint32_t(reason))) }

func nameOfStatus(status Status) string { return C.GoString(C.keyward_status_name(C.int32_t(status))) }

func libraryVersion() string { return C.GoString(C.keyward_version()) }
