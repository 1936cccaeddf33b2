//go:build cgo

package keyward

/*
#include <keyward.h>
#include <stdlib.h>
#include <string.h>

// A text as C takes it. Go hands in an address also with texts that are empty, which is not the same to keyward.
static keyward_bytes kw_bytes(_GoString_ text)
{
    keyward_bytes bytes = {(const uint8_t *)_GoStringPtr(text), _GoStringLen(text)};
    if (bytes.len == 0)
        bytes.data = NULL;
    return bytes;
}

// The head of a keyward_verdict as it stands there, and its texts in one piece: what Go keeps of 8 KB.
typedef struct kw_verdict {
    uint32_t decision;
    uint32_t reason;
    uint64_t generation;
    uint64_t retry_after;
    uint32_t key_id_len;
    uint32_t environment_len;
    uint32_t tenant_len;
    uint32_t scope_len;
    uint32_t subject_len;
    uint32_t scopes_len;
    uint8_t has_subject;
    uint8_t challenge;
    uint8_t challenge_missing;
    uint8_t scopes_of;
    uint32_t reserved;
    uint64_t reserved2;
    uint64_t elsewhere;
    char text[128];
} kw_verdict;

enum { KW_HEAD = offsetof(keyward_verdict, key_id) };

// The compiler refuses this where the heads differ.
typedef char kw_same_head[offsetof(kw_verdict, elsewhere) == KW_HEAD &&
                          offsetof(kw_verdict, scopes_of) == offsetof(keyward_verdict, scopes_of) ? 1 : -1];

static inline char *kw_append(char *text, const char *from, uint32_t length)
{
    if (length > 0)
        memcpy(text, from, length);
    return text + length;
}

// Moves a verdict to Go's, which is all zeros until here and stays so where it cannot be done.
static inline int32_t kw_keep(int32_t status, const keyward_verdict *from, kw_verdict *to)
{
    size_t length;
    char *text = to->text;

    if (status != KEYWARD_OK && status != KEYWARD_E_DENIED && status != KEYWARD_E_TOKEN)
        return status;
    length = (size_t)from->key_id_len + from->environment_len + from->tenant_len + from->scope_len + from->subject_len;
    if (length > sizeof to->text) {
        text = (char *)malloc(length);
        if (text == NULL)
            return KEYWARD_E_LENGTH;
        to->elsewhere = (uint64_t)(uintptr_t)text;
    }
    memcpy(to, from, KW_HEAD);
    text = kw_append(text, from->key_id, from->key_id_len);
    text = kw_append(text, from->environment, from->environment_len);
    text = kw_append(text, from->tenant, from->tenant_len);
    text = kw_append(text, from->scope, from->scope_len);
    kw_append(text, from->subject, from->subject_len);
    return status;
}

static char *kw_elsewhere(uint64_t address)
{
    return (char *)(uintptr_t)address;
}

// What Go says of a request. A list of strings of Go's may not be handed to C, since it has pointers in it: their
// bytes come in one piece, and their lengths in another, headers first (name, value), then scopes.
#define KW_REQUEST                                                                                             \
    uint32_t flags, uint32_t family, int has_environment, _GoString_ realm, _GoString_ method,                 \
        _GoString_ path, _GoString_ host, _GoString_ peer, _GoString_ environment, const uint64_t *lengths,    \
        const char *texts, size_t headers, size_t scopes, uint64_t seconds, uint32_t nanoseconds
#define KW_SAME                                                                                                \
    flags, family, has_environment, realm, method, path, host, peer, environment, lengths, texts, headers,     \
        scopes, seconds, nanoseconds

enum { KW_FEW = 64 };

// A request, and the lists that it points to: on C's stack, unless they are long.
typedef struct kw_frame {
    keyward_request request;
    keyward_bytes few[KW_FEW];
    keyward_bytes *list;
} kw_frame;

static int32_t kw_begin(kw_frame *frame, KW_REQUEST)
{
    keyward_request *request = &frame->request;
    size_t count = 2 * headers + scopes, at;

    frame->list = frame->few;
    if (count > KW_FEW) {
        frame->list = (keyward_bytes *)malloc(count * sizeof *frame->list);
        if (frame->list == NULL)
            return KEYWARD_E_LENGTH;
    }
    for (at = 0; at < count; ++at) {
        frame->list[at].data = (const uint8_t *)texts;
        frame->list[at].len = (size_t)lengths[at];
        texts += lengths[at];
    }
    memset(request, 0, sizeof *request);
    request->flags = flags;
    request->peer_family = family;
    request->realm = kw_bytes(realm);
    request->method = kw_bytes(method);
    request->path = kw_bytes(path);
    request->host = kw_bytes(host);
    request->peer = kw_bytes(peer);
    request->environment = kw_bytes(environment);
    if (has_environment && request->environment.data == NULL)
        request->environment.data = (const uint8_t *)"";
    // A header is its name and its value, as keyward_header has them.
    request->headers = (const keyward_header *)(const void *)frame->list;
    request->header_count = headers;
    request->scopes = frame->list + 2 * headers;
    request->scope_count = scopes;
    request->now_seconds = seconds;
    request->now_nanoseconds = nanoseconds;
    return KEYWARD_OK;
}

static void kw_end(kw_frame *frame)
{
    if (frame->list != frame->few)
        free(frame->list);
}

// An engine is a number in calls that every request makes.
static int32_t kw_verify(uintptr_t engine, KW_REQUEST, kw_verdict *into)
{
    kw_frame frame;
    keyward_verdict verdict;
    int32_t status = kw_begin(&frame, KW_SAME);

    if (status != KEYWARD_OK)
        return status;
    status = keyward_verify((const keyward_engine *)engine, &frame.request, sizeof frame.request, &verdict, sizeof verdict);
    kw_end(&frame);
    return kw_keep(status, &verdict, into);
}

static int32_t kw_verify_key(uintptr_t engine, _GoString_ key, uint32_t flags, _GoString_ realm,
                             kw_verdict *into)
{
    keyward_request request;
    keyward_verdict verdict;

    memset(&request, 0, sizeof request);
    request.flags = flags;
    request.realm = kw_bytes(realm);
    return kw_keep(keyward_verify_key((const keyward_engine *)engine, kw_bytes(key), &request, sizeof request, &verdict,
                                      sizeof verdict), &verdict, into);
}

static int32_t kw_verify_key_of(uintptr_t engine, _GoString_ key, KW_REQUEST, kw_verdict *into)
{
    kw_frame frame;
    keyward_verdict verdict;
    int32_t status = kw_begin(&frame, KW_SAME);

    if (status != KEYWARD_OK)
        return status;
    status = keyward_verify_key((const keyward_engine *)engine, kw_bytes(key), &frame.request, sizeof frame.request, &verdict,
                                sizeof verdict);
    kw_end(&frame);
    return kw_keep(status, &verdict, into);
}

static int32_t kw_issue_token(const keyward_engine *engine, KW_REQUEST, _GoString_ credential, _GoString_ kid,
                              _GoString_ subject, kw_verdict *into, char *token, size_t capacity, size_t *length,
                              keyward_error *error)
{
    kw_frame frame;
    keyward_verdict verdict;
    keyward_token_options options;
    int32_t status = kw_begin(&frame, KW_SAME);

    if (status != KEYWARD_OK)
        return status;
    memset(&options, 0, sizeof options);
    options.credential = kw_bytes(credential);
    options.kid = kw_bytes(kid);
    options.subject = kw_bytes(subject);
    status = keyward_issue_token(engine, &frame.request, sizeof frame.request, &options, sizeof options, &verdict,
                                 sizeof verdict, token, capacity, length, error, sizeof *error);
    kw_end(&frame);
    return kw_keep(status, &verdict, into);
}

// Where the parts of an answer stand in the buffer, and -1 for the length of what is not there.
typedef struct kw_answer {
    uint32_t status;
    uint32_t headers;
    // Content type, body, then name and value of each header.
    uint64_t at[2 + 2 * KEYWARD_RESPONSE_HEADERS];
    int64_t len[2 + 2 * KEYWARD_RESPONSE_HEADERS];
} kw_answer;

static void kw_place(kw_answer *into, size_t number, keyward_bytes bytes, const uint8_t *buffer)
{
    into->at[number] = bytes.data == NULL ? 0 : (uint64_t)(bytes.data - buffer);
    into->len[number] = bytes.data == NULL ? -1 : (int64_t)bytes.len;
}

static int32_t kw_render(const keyward_engine *engine, _GoString_ realm, const kw_verdict *from, _GoString_ scope,
                         uint8_t *buffer, size_t capacity, size_t *needed, kw_answer *into)
{
    keyward_verdict verdict;
    keyward_response response;
    int32_t status;
    uint32_t at;

    // Texts but for the scope say nothing in an answer.
    memset(&verdict, 0, offsetof(keyward_verdict, subject) + 1);
    verdict.decision = from->decision;
    verdict.reason = from->reason;
    verdict.generation = from->generation;
    verdict.retry_after = from->retry_after;
    verdict.challenge = from->challenge;
    verdict.challenge_missing = from->challenge_missing;
    verdict.scopes_of = from->scopes_of;
    if (_GoStringLen(scope) < sizeof verdict.scope) {
        memcpy(verdict.scope, _GoStringPtr(scope), _GoStringLen(scope));
        verdict.scope_len = (uint32_t)_GoStringLen(scope);
    }
    status = keyward_answer(engine, kw_bytes(realm), &verdict, sizeof verdict, &response, sizeof response, buffer,
                            capacity, needed);
    if (status != KEYWARD_OK)
        return status;
    into->status = response.status;
    into->headers = response.header_count;
    kw_place(into, 0, response.content_type, buffer);
    kw_place(into, 1, response.body, buffer);
    for (at = 0; at < response.header_count && at < KEYWARD_RESPONSE_HEADERS; ++at) {
        kw_place(into, 2 + 2 * at, response.headers[at].name, buffer);
        kw_place(into, 3 + 2 * at, response.headers[at].value, buffer);
    }
    return status;
}

static void kw_options(keyward_options *into, uint32_t mode, uint32_t check, uint32_t flags, uint64_t limiter_slots,
                       _GoString_ state, uint64_t state_slots)
{
    memset(into, 0, sizeof *into);
    into->mode = mode;
    into->check = check;
    into->flags = flags;
    into->limiter_slots = limiter_slots;
    into->state_path = kw_bytes(state);
    into->state_slots = state_slots;
}

static int32_t kw_open(_GoString_ snapshot, _GoString_ keyring, uint32_t mode, uint32_t check, uint32_t flags,
                       uint64_t limiter_slots, _GoString_ state, uint64_t state_slots, keyward_engine **engine,
                       keyward_error *error)
{
    keyward_options options;
    kw_options(&options, mode, check, flags, limiter_slots, state, state_slots);
    return keyward_open(kw_bytes(snapshot), kw_bytes(keyring), &options, sizeof options, engine, error, sizeof *error);
}

static int32_t kw_open_bytes(const uint8_t *snapshot, size_t length, _GoString_ keyring, uint32_t mode, uint32_t check,
                             uint32_t flags, uint64_t limiter_slots, _GoString_ state, uint64_t state_slots,
                             keyward_engine **engine, keyward_error *error)
{
    keyward_options options;
    keyward_bytes bytes = {snapshot, length};
    kw_options(&options, mode, check, flags, limiter_slots, state, state_slots);
    return keyward_open_bytes(bytes, kw_bytes(keyring), &options, sizeof options, engine, error, sizeof *error);
}

static int32_t kw_reload(keyward_engine *engine, uint32_t *changed, keyward_error *error)
{
    return keyward_reload(engine, changed, error, sizeof *error);
}

static int32_t kw_replace_bytes(keyward_engine *engine, const uint8_t *snapshot, size_t length, uint32_t *changed,
                                keyward_error *error)
{
    keyward_bytes bytes = {snapshot, length};
    return keyward_replace_bytes(engine, bytes, changed, error, sizeof *error);
}

static int32_t kw_check_pages(keyward_engine *engine, keyward_error *error)
{
    return keyward_check_pages(engine, error, sizeof *error);
}

static int32_t kw_info(const keyward_engine *engine, keyward_engine_info *info)
{
    return keyward_info(engine, info, sizeof *info);
}

static int32_t kw_check_realm(const keyward_engine *engine, _GoString_ realm)
{
    return keyward_check_realm(engine, kw_bytes(realm));
}

static int32_t kw_check_environment(const keyward_engine *engine, _GoString_ realm, _GoString_ environment)
{
    return keyward_check_environment(engine, kw_bytes(realm), kw_bytes(environment));
}

static int32_t kw_credential_header(const keyward_engine *engine, _GoString_ realm, size_t index, char *buffer,
                                    size_t capacity, size_t *needed)
{
    return keyward_credential_header(engine, kw_bytes(realm), index, NULL, buffer, capacity, needed);
}
*/
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

func (l *lists) pointers() (*C.uint64_t, *C.char) {
	if len(l.lengths) == 0 {
		return nil, nil
	}
	if len(l.texts) == 0 {
		return (*C.uint64_t)(unsafe.Pointer(&l.lengths[0])), nil
	}
	return (*C.uint64_t)(unsafe.Pointer(&l.lengths[0])), (*C.char)(unsafe.Pointer(&l.texts[0]))
}

func (h *handle) verify(c *call, l *lists, v *Verdict) Status {
	lengths, texts := l.pointers()
	status := Status(C.kw_verify(h.address(), C.uint32_t(c.flags), C.uint32_t(c.family), truth(c.hasEnvironment), c.realm, c.method,
		c.path, c.host, c.peer, c.environment, lengths, texts, C.size_t(c.headers), C.size_t(c.scopes),
		C.uint64_t(c.seconds), C.uint32_t(c.nanoseconds), (*C.kw_verdict)(unsafe.Pointer(&v.raw))))
	runtime.KeepAlive(h)
	if v.raw.elsewhere != 0 {
		v.fetch()
	}
	return status
}

// verifyKey is the way of a key without options, which has less to carry.
func (h *handle) verifyKey(realm, key string, flags uint32, v *Verdict) Status {
	status := Status(C.kw_verify_key(h.address(), key, C.uint32_t(flags), realm, (*C.kw_verdict)(unsafe.Pointer(&v.raw))))
	runtime.KeepAlive(h)
	if v.raw.elsewhere != 0 {
		v.fetch()
	}
	return status
}

func (h *handle) verifyKeyOf(key string, c *call, l *lists, v *Verdict) Status {
	lengths, texts := l.pointers()
	status := Status(C.kw_verify_key_of(h.address(), key, C.uint32_t(c.flags), C.uint32_t(c.family), truth(c.hasEnvironment),
		c.realm, c.method, c.path, c.host, c.peer, c.environment, lengths, texts, C.size_t(c.headers), C.size_t(c.scopes),
		C.uint64_t(c.seconds), C.uint32_t(c.nanoseconds), (*C.kw_verdict)(unsafe.Pointer(&v.raw))))
	runtime.KeepAlive(h)
	if v.raw.elsewhere != 0 {
		v.fetch()
	}
	return status
}

func (h *handle) issueToken(c *call, l *lists, o *TokenOptions, v *Verdict) (string, error) {
	lengths, texts := l.pointers()
	var said C.keyward_error
	var length C.size_t
	token := make([]byte, tokenSize)
	status := C.kw_issue_token(h.engine, C.uint32_t(c.flags), C.uint32_t(c.family), truth(c.hasEnvironment), c.realm, c.method,
		c.path, c.host, c.peer, c.environment, lengths, texts, C.size_t(c.headers), C.size_t(c.scopes),
		C.uint64_t(c.seconds), C.uint32_t(c.nanoseconds), o.Credential, o.Kid, o.Subject,
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
