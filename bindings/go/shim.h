/*
 * The C side of cgo.go: what takes texts of Go's apart, keeps lists on C's stack, and makes 8 KB of a verdict small. Part
 * of its preamble, so that Go's strings may be handed in.
 */
#ifndef KEYWARD_GO_SHIM_H
#define KEYWARD_GO_SHIM_H

#include <keyward.h>
#include <stdlib.h>
#include <string.h>

#define KW_INLINE __attribute__((always_inline)) static inline

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
    // One more than the bytes of the list; 0: it was not asked for, or there is no room for it.
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

// Most texts are short, and copied sooner than memcpy is called.
static inline char *kw_append(char *text, const char *from, uint32_t length)
{
    if (length >= 8 && length <= 16) {
        uint64_t first, last;
        memcpy(&first, from, 8);
        memcpy(&last, from + length - 8, 8);
        memcpy(text, &first, 8);
        memcpy(text + length - 8, &last, 8);
    } else if (length >= 4 && length < 8) {
        uint32_t first, last;
        memcpy(&first, from, 4);
        memcpy(&last, from + length - 4, 4);
        memcpy(text, &first, 4);
        memcpy(text + length - 4, &last, 4);
    } else if (length > 0) {
        memcpy(text, from, length);
    }
    return text + length;
}

// The bytes of the longest list of scopes that is kept, and its NUL.
enum { KW_SCOPES = 16384 };

// Moves a verdict to Go's, which is all zeros until here and stays so where it cannot be done. scopes is the list, of
// KW_SCOPES bytes, where one was asked for.
KW_INLINE int32_t kw_keep(int32_t status, const keyward_verdict *from, const char *scopes, kw_verdict *to)
{
    uint32_t listed = 0;
    size_t length;
    char *text = to->text;

    if (status != KEYWARD_OK && status != KEYWARD_E_DENIED && status != KEYWARD_E_TOKEN)
        return status;
    length = (size_t)from->key_id_len + from->environment_len + from->tenant_len + from->scope_len + from->subject_len;
    // A list that does not fit is told by its length alone.
    if (scopes != NULL && from->scopes_len < KW_SCOPES)
        listed = from->scopes_len + 1;
    if (listed > 0)
        length += listed - 1;
    if (length > sizeof to->text) {
        text = (char *)malloc(length);
        if (text == NULL)
            return KEYWARD_E_LENGTH;
        to->elsewhere = (uint64_t)(uintptr_t)text;
    }
    memcpy(to, from, KW_HEAD);
    to->scopes_len = listed;
    text = kw_append(text, from->key_id, from->key_id_len);
    text = kw_append(text, from->environment, from->environment_len);
    text = kw_append(text, from->tenant, from->tenant_len);
    text = kw_append(text, from->scope, from->scope_len);
    text = kw_append(text, from->subject, from->subject_len);
    if (listed > 0)
        kw_append(text, scopes, listed - 1);
    return status;
}

static char *kw_elsewhere(uint64_t address)
{
    return (char *)(uintptr_t)address;
}

// What Go says of a request. A list of strings of Go's may not be handed to C, since it has pointers in it: headers and
// then scopes come in one piece, as lists.go makes it.
#define KW_REQUEST                                                                                             \
    uint32_t flags, uint32_t family, int has_environment, _GoString_ realm, _GoString_ method,                 \
        _GoString_ path, _GoString_ host, _GoString_ peer, _GoString_ environment, const uint8_t *texts,           \
        size_t headers, size_t scopes, uint64_t seconds, uint32_t nanoseconds, int list_scopes
#define KW_SAME                                                                                                \
    flags, family, has_environment, realm, method, path, host, peer, environment, texts, headers, scopes,      \
        seconds, nanoseconds, list_scopes

// Texts that are kept on the stack, and the bytes of a length.
enum { KW_FEW = 64, KW_LENGTH = 8 };

// A request, and the lists that it points to: on C's stack, unless they are long.
typedef struct kw_frame {
    keyward_request request;
    keyward_bytes *list;
    keyward_bytes few[KW_FEW];
} kw_frame;

// The compiler refuses this where a request has fields that kw_plain does not know.
typedef char kw_whole_request[sizeof(keyward_request) == offsetof(keyward_request, scopes_capacity) + sizeof(size_t) ? 1 : -1];

// Sets all of a request, one field after the other: clearing it first takes as long as a third of what cgo does.
static inline void kw_plain(keyward_request *request, uint32_t flags, uint32_t family, keyward_bytes realm,
                            keyward_bytes method, keyward_bytes path, keyward_bytes host, keyward_bytes peer)
{
    request->flags = flags;
    request->peer_family = family;
    request->realm = realm;
    request->method = method;
    request->path = path;
    request->host = host;
    request->environment.data = NULL;
    request->environment.len = 0;
    request->headers = NULL;
    request->header_count = 0;
    request->scopes = NULL;
    request->scope_count = 0;
    request->peer = peer;
    memset(request->peer_address, 0, sizeof request->peer_address);
    request->now_seconds = 0;
    request->now_nanoseconds = 0;
    request->reserved = 0;
    request->scopes_buffer = NULL;
    request->scopes_capacity = 0;
}

static inline keyward_bytes kw_next(const uint8_t **lengths, const uint8_t **texts)
{
    const uint8_t *at = *lengths;
    keyward_bytes next;

    // Compilers make one load of it.
    next.len = (size_t)((uint64_t)at[0] | (uint64_t)at[1] << 8 | (uint64_t)at[2] << 16 | (uint64_t)at[3] << 24 |
                        (uint64_t)at[4] << 32 | (uint64_t)at[5] << 40 | (uint64_t)at[6] << 48 | (uint64_t)at[7] << 56);
    next.data = *texts;
    *lengths += KW_LENGTH;
    *texts += next.len;
    return next;
}

// Takes the lists apart. kw_end has to be called where it succeeds.
static inline int32_t kw_lists(kw_frame *frame, const uint8_t *texts, size_t headers, size_t scopes)
{
    size_t count = 2 * headers + scopes, at;
    keyward_bytes *list = frame->few;
    const uint8_t *lengths;

    if (count > KW_FEW) {
        list = (keyward_bytes *)malloc(count * sizeof *list);
        if (list == NULL)
            return KEYWARD_E_LENGTH;
    }
    frame->list = list;
    // A header is its name and its value, as keyward_header has them.
    frame->request.headers = (const keyward_header *)(const void *)list;
    frame->request.header_count = headers;
    for (at = 0; at < headers; ++at) {
        lengths = texts;
        texts += 2 * KW_LENGTH;
        *list++ = kw_next(&lengths, &texts);
        *list++ = kw_next(&lengths, &texts);
    }
    frame->request.scopes = list;
    frame->request.scope_count = scopes;
    for (at = 0; at < scopes; ++at) {
        lengths = texts;
        texts += KW_LENGTH;
        *list++ = kw_next(&lengths, &texts);
    }
    return KEYWARD_OK;
}

static int32_t kw_begin(kw_frame *frame, KW_REQUEST)
{
    keyward_request *request = &frame->request;

    (void)list_scopes;
    kw_plain(request, flags, family, kw_bytes(realm), kw_bytes(method), kw_bytes(path), kw_bytes(host), kw_bytes(peer));
    request->environment = kw_bytes(environment);
    if (has_environment && request->environment.data == NULL)
        request->environment.data = (const uint8_t *)"";
    request->now_seconds = seconds;
    request->now_nanoseconds = nanoseconds;
    return kw_lists(frame, texts, headers, scopes);
}

static inline void kw_end(kw_frame *frame)
{
    if (frame->list != frame->few)
        free(frame->list);
}

// Decides about a request, or about a key by itself.
KW_INLINE int32_t kw_decide(uintptr_t engine, const keyward_bytes *key, const keyward_request *request, kw_verdict *into)
{
    const keyward_engine *asked = (const keyward_engine *)engine;
    keyward_verdict verdict;
    int32_t status;

    if (key == NULL)
        status = keyward_verify(asked, request, sizeof *request, &verdict, sizeof verdict);
    else
        status = keyward_verify_key(asked, *key, request, sizeof *request, &verdict, sizeof verdict);
    return kw_keep(status, &verdict, request->scopes_buffer, into);
}

// The same with the scopes of the key. Not inlined: a call that does not ask for them needs no room for them.
__attribute__((noinline)) static int32_t kw_decide_and_list(uintptr_t engine, const keyward_bytes *key, keyward_request *request,
                                                            kw_verdict *into)
{
    char list[KW_SCOPES];

    request->scopes_buffer = list;
    request->scopes_capacity = sizeof list;
    return kw_decide(engine, key, request, into);
}

// An engine is a number in calls that every request makes. Inlined: cgo's own code would hand over each text once more.
KW_INLINE int32_t kw_verify(uintptr_t engine, uint32_t flags, uint32_t family, _GoString_ realm, _GoString_ method,
                         _GoString_ path, _GoString_ host, _GoString_ peer, const uint8_t *texts, size_t headers,
                         kw_verdict *into)
{
    kw_frame frame;
    int32_t status;

    kw_plain(&frame.request, flags, family, kw_bytes(realm), kw_bytes(method), kw_bytes(path), kw_bytes(host),
             kw_bytes(peer));
    status = kw_lists(&frame, texts, headers, 0);
    if (status != KEYWARD_OK)
        return status;
    status = kw_decide(engine, NULL, &frame.request, into);
    kw_end(&frame);
    return status;
}

KW_INLINE int32_t kw_verify_with(uintptr_t engine, KW_REQUEST, kw_verdict *into)
{
    kw_frame frame;
    int32_t status = kw_begin(&frame, KW_SAME);

    if (status != KEYWARD_OK)
        return status;
    status = list_scopes ? kw_decide_and_list(engine, NULL, &frame.request, into)
                         : kw_decide(engine, NULL, &frame.request, into);
    kw_end(&frame);
    return status;
}

KW_INLINE int32_t kw_verify_key(uintptr_t engine, _GoString_ key, _GoString_ realm, kw_verdict *into)
{
    const keyward_bytes nothing = {NULL, 0};
    keyward_bytes bytes = kw_bytes(key);
    keyward_request request;

    kw_plain(&request, KEYWARD_NO_ROUTING, KEYWARD_PEER_TEXT, kw_bytes(realm), nothing, nothing, nothing, nothing);
    return kw_decide(engine, &bytes, &request, into);
}

KW_INLINE int32_t kw_verify_key_with(uintptr_t engine, _GoString_ key, KW_REQUEST, kw_verdict *into)
{
    keyward_bytes bytes = kw_bytes(key);
    kw_frame frame;
    int32_t status = kw_begin(&frame, KW_SAME);

    if (status != KEYWARD_OK)
        return status;
    status = list_scopes ? kw_decide_and_list(engine, &bytes, &frame.request, into)
                         : kw_decide(engine, &bytes, &frame.request, into);
    kw_end(&frame);
    return status;
}

static int32_t kw_issue_token(const keyward_engine *engine, KW_REQUEST, _GoString_ credential, _GoString_ kid,
                              _GoString_ subject, kw_verdict *into, char *token, size_t capacity, size_t *length,
                              keyward_error *error)
{
    kw_frame frame;
    keyward_verdict verdict;
    keyward_token_options options;
    char list[KW_SCOPES];
    int32_t status = kw_begin(&frame, KW_SAME);

    if (status != KEYWARD_OK)
        return status;
    if (list_scopes) {
        frame.request.scopes_buffer = list;
        frame.request.scopes_capacity = sizeof list;
    }
    memset(&options, 0, sizeof options);
    options.credential = kw_bytes(credential);
    options.kid = kw_bytes(kid);
    options.subject = kw_bytes(subject);
    status = keyward_issue_token(engine, &frame.request, sizeof frame.request, &options, sizeof options, &verdict,
                                 sizeof verdict, token, capacity, length, error, sizeof *error);
    status = kw_keep(status, &verdict, frame.request.scopes_buffer, into);
    kw_end(&frame);
    return status;
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

// A decision as direct.go asks for it: the request is Go's own, and all that it points to.
typedef struct kw_direct {
    uintptr_t engine;
    // The key by itself, where is_key is set.
    keyward_bytes key;
    uint32_t is_key;
    uint32_t list_scopes;
    keyward_request request;
    kw_verdict *into;
    int32_t status;
} kw_direct;

static void kw_direct_call(void *asked)
{
    kw_direct *call = (kw_direct *)asked;
    const keyward_bytes *key = call->is_key ? &call->key : NULL;

    if (call->list_scopes) {
        call->status = kw_decide_and_list(call->engine, key, &call->request, call->into);
        // What it points to is gone.
        call->request.scopes_buffer = NULL;
    } else {
        call->status = kw_decide(call->engine, key, &call->request, call->into);
    }
}

static void *kw_direct_entry(void)
{
    return (void *)kw_direct_call;
}

#endif
