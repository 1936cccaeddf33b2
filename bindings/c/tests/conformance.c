/*
 * The vectors of docs/DECISIONS.md section 9 through the C interface, from the file that vectors.py writes.
 *
 *   conformance CASES
 *
 * The last line is `N passed, N failed`.
 */
#include "check.h"

#define MOST 512

typedef struct record {
    keyward_bytes names[MOST];
    keyward_bytes values[MOST];
    size_t count;
} record;

static const uint8_t *position, *end;

static void unreadable(const char *why)
{
    fprintf(stderr, "conformance: the cases cannot be read: %s\n", why);
    exit(2);
}

static keyward_bytes netstring(void)
{
    keyward_bytes bytes;
    size_t length = 0;
    while (position < end && *position >= '0' && *position <= '9')
        length = length * 10 + (size_t)(*position++ - '0');
    if (position >= end || *position++ != ':' || (size_t)(end - position) <= length || position[length] != ',')
        unreadable("a netstring is broken");
    bytes.data = position;
    bytes.len = length;
    position += length + 1;
    return bytes;
}

static int read_record(record *into)
{
    into->count = 0;
    if (position == end)
        return 0;
    for (;;) {
        keyward_bytes name = netstring();
        if (name.len == 0)
            return 1;
        if (into->count == MOST)
            unreadable("a record is too long");
        into->names[into->count] = name;
        into->values[into->count++] = netstring();
    }
}

static int equal(keyward_bytes bytes, const void *data, size_t length)
{
    return bytes.len == length && (length == 0 || memcmp(bytes.data, data, length) == 0);
}

static int is(keyward_bytes bytes, const char *text)
{
    return equal(bytes, text, strlen(text));
}

/* The value of that name, or NULL bytes. */
static keyward_bytes value_of(const record *from, const char *name)
{
    size_t at;
    for (at = 0; at < from->count; ++at)
        if (is(from->names[at], name))
            return from->values[at];
    return bytes_of(NULL);
}

static unsigned long long number_of(const record *from, const char *name, unsigned long long otherwise)
{
    char text[32];
    keyward_bytes value = value_of(from, name);
    if (value.data == NULL || value.len >= sizeof text)
        return otherwise;
    memcpy(text, value.data, value.len);
    text[value.len] = 0;
    return strtoull(text, NULL, 10);
}

static int contains(keyward_bytes text, keyward_bytes part)
{
    size_t at;
    for (at = 0; at + part.len <= text.len; ++at)
        if (part.len == 0 || memcmp(text.data + at, part.data, part.len) == 0)
            return 1;
    return 0;
}

/* A field of what came out: its text, or NULL where there is none. */
static keyward_bytes field(const char *text, size_t length, int is_there)
{
    keyward_bytes bytes = bytes_of(NULL);
    if (is_there) {
        bytes.data = (const uint8_t *)text;
        bytes.len = length;
    }
    return bytes;
}

static keyward_bytes header_value(const keyward_response *response, const char *name)
{
    uint32_t at;
    for (at = 0; at < response->header_count; ++at)
        if (is(response->headers[at].name, name))
            return response->headers[at].value;
    return bytes_of(NULL);
}

static keyward_bytes actual(const char *name, const keyward_verdict *verdict, const keyward_response *response,
                            char *space, size_t size)
{
    if (strcmp(name, "decision") == 0)
        return bytes_of(verdict->decision == KEYWARD_ALLOW                ? "allow"
                        : verdict->reason == KEYWARD_REASON_UNAVAILABLE   ? "unavailable"
                                                                          : "deny");
    if (strcmp(name, "reason") == 0)
        return bytes_of(keyward_reason_name(verdict->reason));
    if (strcmp(name, "status") == 0) {
        snprintf(space, size, "%u", (unsigned)response->status);
        return bytes_of(space);
    }
    if (strcmp(name, "key_id") == 0)
        return field(verdict->key_id, verdict->key_id_len, verdict->key_id_len != 0);
    if (strcmp(name, "tenant") == 0)
        return field(verdict->tenant, verdict->tenant_len, verdict->tenant_len != 0);
    if (strcmp(name, "environment") == 0)
        return field(verdict->environment, verdict->environment_len, verdict->environment_len != 0);
    if (strcmp(name, "subject") == 0)
        return field(verdict->subject, verdict->subject_len, verdict->has_subject);
    if (strcmp(name, "scope") == 0)
        return field(verdict->scope, verdict->scope_len, verdict->reason == KEYWARD_REASON_INSUFFICIENT_SCOPE);
    if (strcmp(name, "retry_after") == 0) {
        snprintf(space, size, "%llu", (unsigned long long)verdict->retry_after);
        return verdict->reason == KEYWARD_REASON_RATE_LIMITED ? bytes_of(space) : bytes_of(NULL);
    }
    if (strcmp(name, "www_authenticate") == 0)
        return header_value(response, "WWW-Authenticate");
    if (strcmp(name, "content_type") == 0)
        return response->content_type;
    if (strcmp(name, "body") == 0)
        return response->body;
    return bytes_of("no such field");
}

static int compare(const record *from, const keyward_verdict *verdict, const keyward_response *response)
{
    int good = 1;
    size_t at;
    for (at = 0; at < from->count; ++at) {
        char name[64], space[32];
        keyward_bytes found, expected = bytes_of(NULL);
        int wants_null = is(from->names[at], "null");
        if (!wants_null && !is(from->names[at], "expect"))
            continue;
        snprintf(name, sizeof name, "%.*s", (int)from->values[at].len, (const char *)from->values[at].data);
        if (!wants_null)
            expected = from->values[at + 1];
        found = actual(name, verdict, response, space, sizeof space);
        if (wants_null ? found.data == NULL : found.data != NULL && equal(found, expected.data, expected.len))
            continue;
        good = 0;
        printf("  %s: expected %.*s, actual %.*s\n", name, wants_null ? 4 : (int)expected.len,
               wants_null ? "null" : (const char *)expected.data, found.data == NULL ? 4 : (int)found.len,
               found.data == NULL ? "null" : (const char *)found.data);
    }
    return good;
}

static int run(const keyward_engine *engine, const record *from)
{
    static keyward_header headers[MOST];
    static keyward_bytes scopes[MOST];
    static uint8_t buffer[1 << 16];
    keyward_request request;
    keyward_verdict verdict;
    keyward_response response;
    unsigned long long repeat = number_of(from, "repeat", 1);
    size_t at;

    if (engine == NULL)
        return 0;
    memset(&request, 0, sizeof request);
    request.realm = value_of(from, "realm");
    request.method = value_of(from, "method");
    request.path = value_of(from, "path");
    request.host = value_of(from, "host");
    request.environment = value_of(from, "environment");
    request.peer = value_of(from, "ip");
    request.headers = headers;
    request.scopes = scopes;
    if (request.path.data == NULL)
        request.flags |= KEYWARD_NO_ROUTING;
    if (value_of(from, "tls").data != NULL)
        request.flags |= KEYWARD_TLS;
    if (value_of(from, "seconds").data != NULL)
        request.flags |= KEYWARD_HAS_NOW;
    request.now_seconds = number_of(from, "seconds", 0);
    request.now_nanoseconds = (uint32_t)number_of(from, "nanoseconds", 0);
    for (at = 0; at < from->count; ++at) {
        if (is(from->names[at], "scope"))
            scopes[request.scope_count++] = from->values[at];
        if (is(from->names[at], "header")) {
            headers[request.header_count].name = from->values[at];
            headers[request.header_count++].value = from->values[at + 1];
        }
    }
    do {
        int32_t status = keyward_verify(engine, &request, sizeof request, &verdict, sizeof verdict);
        if (status != KEYWARD_OK) {
            printf("  keyward_verify: %s\n", keyward_status_name(status));
            return 0;
        }
    } while (--repeat > 0 && repeat < 1000000);
    if (keyward_answer(engine, request.realm, &verdict, sizeof verdict, &response, sizeof response, buffer,
                       sizeof buffer, NULL) != KEYWARD_OK) {
        printf("  there is no answer\n");
        return 0;
    }
    return compare(from, &verdict, &response);
}

static keyward_engine *opened(const record *from)
{
    keyward_engine *engine = NULL;
    keyward_error error;
    if (keyward_open(value_of(from, "snapshot"), value_of(from, "keyring"), NULL, 0, &engine, &error,
                     sizeof error) != KEYWARD_OK)
        printf("  keyward_open: %s\n", error.message);
    return engine;
}

static uint8_t *read_all(const char *path, size_t *length)
{
    FILE *file = fopen(path, "rb");
    size_t capacity = 1 << 16;
    uint8_t *bytes = (uint8_t *)malloc(capacity);
    if (file == NULL || bytes == NULL)
        unreadable(path);
    *length = 0;
    for (;;) {
        size_t got = fread(bytes + *length, 1, capacity - *length, file);
        if (got == 0)
            break;
        *length += got;
        if (*length == capacity) {
            capacity *= 2;
            bytes = (uint8_t *)realloc(bytes, capacity);
            if (bytes == NULL)
                unreadable("there is no memory");
        }
    }
    fclose(file);
    return bytes;
}

int main(int argc, char **argv)
{
    static record from;
    keyward_engine *engine = NULL;
    keyward_bytes file = bytes_of("");
    unsigned long passed = 0, failed = 0;
    size_t length;
    uint8_t *bytes;

    if (argc != 2) {
        fprintf(stderr, "usage: conformance CASES\n");
        return 2;
    }
    bytes = read_all(argv[1], &length);
    position = bytes;
    end = bytes + length;
    while (read_record(&from)) {
        keyward_bytes kind = value_of(&from, "kind"), name = value_of(&from, "name");
        int good = 0;
        if (is(kind, "open")) {
            keyward_release(engine);
            engine = opened(&from);
            file = name;
            continue;
        }
        if (is(kind, "case"))
            good = run(engine, &from);
        else if (is(kind, "refused")) {
            keyward_bytes message = value_of(&from, "message");
            good = message.data != NULL && contains(message, value_of(&from, "expected"));
            file = bytes_of("");
        }
        if (good) {
            ++passed;
            continue;
        }
        ++failed;
        printf("FAILED %.*s: %.*s\n", (int)file.len, (const char *)file.data, (int)name.len,
               (const char *)name.data);
    }
    keyward_release(engine);
    free(bytes);
    printf("%lu passed, %lu failed\n", passed, failed);
    return failed != 0 || passed == 0;
}
