/*
 * What the C call itself costs: the same two requests that compare.py sends through Python.
 *
 *   call SNAPSHOT KEYRING KEYS      KEYS has a line `Bearer KEY` for each
 *
 * It answers each line `verify COUNT` or `verify_key COUNT` with the nanoseconds of a call, the keys in rotation.
 */
#include <keyward.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MOST 1000000
#define TEXT(text) {(const uint8_t *)(text), sizeof(text) - 1}

static char texts[MOST][64];
static keyward_bytes lines[MOST];

static keyward_bytes bytes_of(const char *text)
{
    keyward_bytes bytes;
    bytes.data = (const uint8_t *)text;
    bytes.len = strlen(text);
    return bytes;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

int main(int argc, char **argv)
{
    static keyward_header headers[] = {
        {TEXT("host"), TEXT("api.example.com")},        {TEXT("user-agent"), TEXT("python-httpx/0.28.1")},
        {TEXT("accept"), TEXT("*/*")},                  {TEXT("accept-encoding"), TEXT("gzip, deflate")},
        {TEXT("connection"), TEXT("keep-alive")},       {TEXT("x-request-id"), TEXT("4bf92f3577b34da6a3ce929d0e0e4736")},
        {TEXT("content-type"), TEXT("application/json")}, {TEXT("authorization"), {NULL, 0}},
    };
    static const keyward_bytes realm = TEXT("bench"), scope[] = {TEXT("read")}, path = TEXT("/v1/items/17"),
                               method = TEXT("GET"), host = TEXT("api.example.com"), peer = TEXT("203.0.113.7");
    keyward_engine *engine;
    keyward_error error;
    char word[32];
    size_t count = 0, calls, at;
    FILE *file;

    if (argc != 4 || (file = fopen(argv[3], "r")) == NULL)
        return 2;
    while (count < MOST && fgets(texts[count], sizeof texts[count], file) != NULL) {
        texts[count][strcspn(texts[count], "\n")] = 0;
        lines[count] = bytes_of(texts[count]);
        ++count;
    }
    fclose(file);
    if (count == 0 || keyward_open(bytes_of(argv[1]), bytes_of(argv[2]), NULL, 0, &engine, &error, sizeof error) != KEYWARD_OK)
        return 1;
    while (scanf("%31s %zu", word, &calls) == 2) {
        int whole = strcmp(word, "verify") == 0;
        size_t allowed = 0;
        double start = now();
        for (at = 0; at < calls; ++at) {
            keyward_request request;
            keyward_verdict verdict;
            /* As in Python, the length is known. */
            keyward_bytes key = lines[at % count];
            memset(&request, 0, sizeof request);
            request.realm = realm;
            request.scopes = scope;
            request.scope_count = 1;
            request.flags = KEYWARD_TLS;
            request.peer = peer;
            if (whole) {
                request.path = path;
                request.method = method;
                request.host = host;
                headers[7].value = key;
                request.headers = headers;
                request.header_count = 8;
                keyward_verify(engine, &request, sizeof request, &verdict, sizeof verdict);
            } else {
                key.data += 7;
                key.len -= 7;
                request.flags |= KEYWARD_NO_ROUTING;
                keyward_verify_key(engine, key, &request, sizeof request, &verdict, sizeof verdict);
            }
            allowed += verdict.decision == KEYWARD_ALLOW;
        }
        printf("%.2f\n", (now() - start) / (double)calls);
        fflush(stdout);
        if (allowed != calls)
            return 3;
    }
    return keyward_release(engine) != KEYWARD_OK;
}
