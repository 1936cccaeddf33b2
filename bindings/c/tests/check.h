/*
 * What the C tests share: checks that count, texts as bytes, the fixture's files.
 *
 * C99 that is C++11 too.
 */
#ifndef KEYWARD_TESTS_CHECK_H
#define KEYWARD_TESTS_CHECK_H

#include <keyward.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures = 0;

static inline int report(int good, const char *file, int line, const char *what)
{
    if (!good) {
        ++failures;
        fprintf(stderr, "%s:%d: FAILED: %s\n", file, line, what);
    }
    return good;
}

#define CHECK(condition) report((condition) ? 1 : 0, __FILE__, __LINE__, #condition)

/* A status, with its name and that of what came instead. */
#define CHECK_STATUS(call, expected)                                                               \
    do {                                                                                           \
        int32_t found_ = (call);                                                                   \
        if (!report(found_ == (expected), __FILE__, __LINE__, #call " is " #expected))             \
            fprintf(stderr, "  it is %d, %s\n", (int)found_, keyward_status_name(found_));         \
    } while (0)

static inline keyward_bytes bytes_of(const char *text)
{
    keyward_bytes bytes;
    bytes.data = (const uint8_t *)text;
    bytes.len = text == NULL ? 0 : strlen(text);
    return bytes;
}

/* Bytes that no caller may hand in. */
static inline keyward_bytes broken_bytes(void)
{
    keyward_bytes bytes;
    bytes.data = NULL;
    bytes.len = 7;
    return bytes;
}

static inline keyward_bytes invalid_text(void)
{
    return bytes_of("sh\xffop");
}

static inline keyward_header header_of(const char *name, const char *value)
{
    keyward_header header;
    header.name = bytes_of(name);
    header.value = bytes_of(value);
    return header;
}

/* A file of the fixture: DIRECTORY/NAME, in one of a few static buffers. */
static inline const char *file_in(const char *directory, const char *name)
{
    static char paths[64][1024];
    static unsigned next = 0;
    char *path = paths[next++ % 64];
    snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

static inline keyward_engine *open_engine(const char *directory, const char *snapshot, uint32_t flags)
{
    keyward_engine *engine = NULL;
    keyward_options options;
    keyward_error error;
    memset(&options, 0, sizeof options);
    options.flags = flags;
    if (keyward_open(bytes_of(file_in(directory, snapshot)), bytes_of(file_in(directory, "keyring.toml")),
                     &options, sizeof options, &engine, &error, sizeof error) != KEYWARD_OK) {
        fprintf(stderr, "%s/%s: %s\n", directory, snapshot, error.message);
        exit(2);
    }
    return engine;
}

/* A request to the shop that its reader may make: GET /orders. */
static inline keyward_request request_of(const keyward_header *headers, size_t count)
{
    keyward_request request;
    memset(&request, 0, sizeof request);
    request.flags = KEYWARD_TLS;
    request.realm = bytes_of("shop");
    request.method = bytes_of("GET");
    request.path = bytes_of("/orders");
    request.headers = headers;
    request.header_count = count;
    return request;
}

static inline int all_bytes_are(const void *memory, size_t size, int value)
{
    const unsigned char *bytes = (const unsigned char *)memory;
    size_t at;
    for (at = 0; at < size; ++at)
        if (bytes[at] != (unsigned char)value)
            return 0;
    return 1;
}

/* Whether a verdict lets nobody in and names nobody. */
static inline int is_denial(const keyward_verdict *verdict)
{
    return verdict->decision == KEYWARD_DENY && verdict->generation == 0 && verdict->key_id_len == 0 &&
           verdict->tenant_len == 0 && verdict->environment_len == 0 && verdict->scope_len == 0 &&
           verdict->subject_len == 0 && verdict->has_subject == 0 && verdict->key_id[0] == 0 &&
           verdict->tenant[0] == 0 && verdict->environment[0] == 0 && verdict->scope[0] == 0 &&
           verdict->subject[0] == 0;
}

static inline int finish(const char *name)
{
    if (failures == 0)
        printf("%s: passed\n", name);
    else
        printf("%s: %d FAILED\n", name, failures);
    return failures != 0;
}

#endif
