/*
 * Verifying: what it does, and what it makes of bad arguments.
 *
 *   requests FIXTURE
 */
#include "check.h"

static keyward_engine *engine;

/* Requests are looked at in one go where they say all that HTTP says, and else part by part. Both must come to
 * the same, so everything is asked twice. */
static int with_host;

static keyward_request asked(const keyward_header *headers, size_t count)
{
    keyward_request request = request_of(headers, count);
    if (with_host)
        request.host = bytes_of("shop.example");
    return request;
}

/* Decides a request that is refused as the caller's fault, from a verdict that let somebody in. */
static int32_t failing_verify(const keyward_request *request, size_t request_size)
{
    keyward_verdict verdict;
    int32_t status;
    memset(&verdict, 0xAA, sizeof verdict);
    verdict.decision = KEYWARD_ALLOW;
    status = keyward_verify(engine, request, request_size, &verdict, sizeof verdict);
    CHECK(is_denial(&verdict));
    CHECK(verdict.reason == KEYWARD_REASON_NONE);
    memset(&verdict, 0xAA, sizeof verdict);
    verdict.decision = KEYWARD_ALLOW;
    if (request == NULL || (uintptr_t)request % 8 != 0 || request_size != sizeof *request ||
        request->header_count == 0) {
        CHECK(keyward_verify_key(engine, bytes_of("sk_live_0000000000000001"), request, request_size, &verdict,
                                 sizeof verdict) == status);
        CHECK(is_denial(&verdict));
    }
    return status;
}

static uint32_t reason_of(const keyward_request *request, keyward_verdict *verdict)
{
    CHECK_STATUS(keyward_verify(engine, request, sizeof *request, verdict, sizeof *verdict), KEYWARD_OK);
    CHECK((verdict->decision == KEYWARD_ALLOW) == (verdict->reason == KEYWARD_REASON_OK));
    return verdict->reason;
}

static void verify(void)
{
    keyward_header headers[2];
    keyward_request request;
    keyward_verdict verdict;
    keyward_bytes scopes[40];
    char list[32];
    size_t at;

    headers[0] = header_of("Accept", "*/*");
    headers[1] = header_of("authorization", "Bearer sk_live_0000000000000001");
    request = asked(headers, 2);
    memset(&verdict, 0xAA, sizeof verdict);
    CHECK(reason_of(&request, &verdict) == KEYWARD_REASON_OK);
    CHECK(verdict.generation == 1 && verdict.retry_after == 0 && verdict.reserved == 0 && verdict.reserved2 == 0);
    CHECK(strcmp(verdict.key_id, "reader") == 0 && verdict.key_id_len == 6);
    CHECK(strcmp(verdict.environment, "live") == 0 && verdict.environment_len == 4);
    CHECK(strcmp(verdict.tenant, "acme") == 0 && verdict.tenant_len == 4);
    CHECK(verdict.scope_len == 0 && verdict.scope[0] == 0 && verdict.subject_len == 0 && verdict.scopes_len == 0);

    /* The scopes of the key, where the caller asks for them. They are never cut. */
    request.scopes_buffer = list;
    request.scopes_capacity = sizeof list;
    CHECK(reason_of(&request, &verdict) == KEYWARD_REASON_OK);
    CHECK(strcmp(list, "orders:read reports") == 0 && verdict.scopes_len == 19);
    request.scopes_capacity = 20;
    CHECK(reason_of(&request, &verdict) == KEYWARD_REASON_OK && strcmp(list, "orders:read reports") == 0);
    request.scopes_capacity = 19;
    CHECK(reason_of(&request, &verdict) == KEYWARD_REASON_OK && list[0] == 0 && verdict.scopes_len == 19);
    request.scopes_capacity = 0;
    CHECK(reason_of(&request, &verdict) == KEYWARD_REASON_OK && verdict.scopes_len == 19);
    request = asked(headers, 2);

    request.flags |= KEYWARD_NO_IDENTITY;
    CHECK(reason_of(&request, &verdict) == KEYWARD_REASON_OK);
    CHECK(verdict.key_id_len == 0 && verdict.key_id[0] == 0 && verdict.tenant[0] == 0 && verdict.generation == 1);
    request = asked(headers, 2);

    request.method = bytes_of(NULL);
    CHECK(reason_of(&request, &verdict) == KEYWARD_REASON_OK);
    request.method = bytes_of("");
    CHECK(reason_of(&request, &verdict) == KEYWARD_REASON_ROUTE_NOT_ALLOWED);
    request.method = bytes_of("POST");
    CHECK(reason_of(&request, &verdict) == KEYWARD_REASON_INSUFFICIENT_SCOPE);
    CHECK(strcmp(verdict.scope, "orders:write") == 0 && verdict.scope_len == 12);
    CHECK(strcmp(verdict.key_id, "reader") == 0);
    request = asked(headers, 2);
    request.realm = bytes_of("nowhere");
    CHECK(reason_of(&request, &verdict) == KEYWARD_REASON_UNAVAILABLE && verdict.decision == KEYWARD_DENY);
    request.realm = bytes_of(NULL);
    CHECK(reason_of(&request, &verdict) == KEYWARD_REASON_UNAVAILABLE);

    /* An empty path is not the absence of routing. */
    request = asked(headers, 2);
    request.path = bytes_of(NULL);
    CHECK(reason_of(&request, &verdict) == KEYWARD_REASON_AMBIGUOUS_PATH);
    request.flags |= KEYWARD_NO_ROUTING;
    CHECK(reason_of(&request, &verdict) == KEYWARD_REASON_OK);
    request.path = bytes_of("/orders");
    CHECK_STATUS(failing_verify(&request, sizeof request), KEYWARD_E_VALUE);

    /* Left out, and there and empty. */
    request = asked(headers, 2);
    request.environment = bytes_of("test");
    CHECK(reason_of(&request, &verdict) == KEYWARD_REASON_WRONG_ENVIRONMENT);
    request.environment = bytes_of("");
    CHECK(reason_of(&request, &verdict) == KEYWARD_REASON_WRONG_ENVIRONMENT);

    /* More scopes than fit on the stack; the last is missing. */
    request = asked(headers, 2);
    for (at = 0; at < 40; ++at)
        scopes[at] = bytes_of("reports");
    request.scopes = scopes;
    for (request.scope_count = 1; request.scope_count <= 40; ++request.scope_count)
        CHECK(reason_of(&request, &verdict) == KEYWARD_REASON_OK);
    scopes[15] = bytes_of("more");
    request.scope_count = 16;
    CHECK(reason_of(&request, &verdict) == KEYWARD_REASON_INSUFFICIENT_SCOPE && strcmp(verdict.scope, "more") == 0);
    scopes[15] = bytes_of("reports");
    scopes[39] = bytes_of("admin");
    request.scope_count = 40;
    CHECK(reason_of(&request, &verdict) == KEYWARD_REASON_INSUFFICIENT_SCOPE && strcmp(verdict.scope, "admin") == 0);

    /* The clock. */
    headers[1] = header_of("Authorization", "Bearer sk_test_0000000000000005");
    request = asked(headers, 2);
    request.flags |= KEYWARD_HAS_NOW;
    request.now_seconds = 1699999999;
    request.now_nanoseconds = 999999999;
    CHECK(reason_of(&request, &verdict) == KEYWARD_REASON_NOT_YET_VALID);
    request.now_seconds = 1700000000;
    request.now_nanoseconds = 0;
    CHECK(reason_of(&request, &verdict) == KEYWARD_REASON_OK);
    request.now_seconds = UINT64_MAX;
    CHECK(reason_of(&request, &verdict) == KEYWARD_REASON_EXPIRED);
    request.now_nanoseconds = 1000000000;
    CHECK_STATUS(failing_verify(&request, sizeof request), KEYWARD_E_VALUE);
}

static void peers(void)
{
    static const uint8_t inside[16] = {203, 0, 113, 9}, outside[16] = {203, 0, 114, 9};
    static const uint8_t inside6[16] = {0x20, 0x01, 0x0d, 0xb8, 1};
    static const uint8_t mapped[16] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 203, 0, 113, 9};
    keyward_header header = header_of("Authorization", "Bearer sk_live_0000000000000004");
    keyward_request request = asked(&header, 1);
    keyward_verdict verdict;

    CHECK(reason_of(&request, &verdict) == KEYWARD_REASON_IP_NOT_ALLOWED);
    request.peer = bytes_of("203.0.113.9");
    CHECK(reason_of(&request, &verdict) == KEYWARD_REASON_OK);
    request.peer = bytes_of("203.0.113.09");
    CHECK(reason_of(&request, &verdict) == KEYWARD_REASON_IP_NOT_ALLOWED);
    request.peer_family = KEYWARD_PEER_IPV4;
    memcpy(request.peer_address, inside, 16);
    CHECK(reason_of(&request, &verdict) == KEYWARD_REASON_OK);
    memcpy(request.peer_address, outside, 16);
    CHECK(reason_of(&request, &verdict) == KEYWARD_REASON_IP_NOT_ALLOWED);
    request.peer_family = KEYWARD_PEER_IPV6;
    memcpy(request.peer_address, inside6, 16);
    CHECK(reason_of(&request, &verdict) == KEYWARD_REASON_OK);
    memcpy(request.peer_address, mapped, 16);
    CHECK(reason_of(&request, &verdict) == KEYWARD_REASON_OK);
    request.peer_family = KEYWARD_PEER_UNIX;
    CHECK(reason_of(&request, &verdict) == KEYWARD_REASON_IP_NOT_ALLOWED);
    request.peer_family = 2;
    CHECK_STATUS(failing_verify(&request, sizeof request), KEYWARD_E_VALUE);
}

static void verify_with_bad_arguments(void)
{
    struct {
        keyward_request known;
        uint64_t unknown[2];
    } newer;
    unsigned char space[sizeof(keyward_verdict) + 64];
    keyward_verdict *verdict = (keyward_verdict *)(void *)space;
    keyward_header header = header_of("Authorization", "Bearer sk_live_0000000000000001");
    keyward_header broken = header;
    keyward_request request = asked(&header, 1);
    keyward_bytes scope = broken_bytes();

    CHECK_STATUS(failing_verify(NULL, sizeof request), KEYWARD_E_NULL);
    CHECK_STATUS(failing_verify(&request, 0), KEYWARD_E_STRUCT_SIZE);
    CHECK_STATUS(failing_verify(&request, sizeof(void *)), KEYWARD_E_STRUCT_SIZE);
    CHECK_STATUS(failing_verify(&request, sizeof request - 1), KEYWARD_E_STRUCT_SIZE);
    CHECK_STATUS(failing_verify(&request, (size_t)-8), KEYWARD_E_STRUCT_SIZE);
    CHECK_STATUS(failing_verify((const keyward_request *)((uintptr_t)&request + 1), sizeof request),
                 KEYWARD_E_ALIGNMENT);
    request.flags = 0x100;
    CHECK_STATUS(failing_verify(&request, sizeof request), KEYWARD_E_VALUE);
    request.flags = KEYWARD_TLS;
    request.reserved = 1;
    CHECK_STATUS(failing_verify(&request, sizeof request), KEYWARD_E_VALUE);
    request.reserved = 0;

    /* Bytes that are none, in every place. A header is looked at where a credential is looked for. */
    request.headers = NULL;
    CHECK_STATUS(failing_verify(&request, sizeof request), KEYWARD_E_LENGTH);
    request.headers = &header;
    request.header_count = (size_t)-1;
    CHECK_STATUS(failing_verify(&request, sizeof request), KEYWARD_E_LENGTH);
    request.header_count = 1;
    request.headers = (const keyward_header *)((uintptr_t)&header + 1);
    CHECK_STATUS(failing_verify(&request, sizeof request), KEYWARD_E_ALIGNMENT);
    request.headers = &broken;
    broken.name = broken_bytes();
    CHECK_STATUS(failing_verify(&request, sizeof request), KEYWARD_E_LENGTH);
    broken.name = header.name;
    broken.value = broken_bytes();
    CHECK_STATUS(failing_verify(&request, sizeof request), KEYWARD_E_LENGTH);
    broken.value = header.value;
    broken.value.len = (size_t)-1;
    CHECK_STATUS(failing_verify(&request, sizeof request), KEYWARD_E_LENGTH);
    request = asked(NULL, 0);
    request.realm = broken_bytes();
    CHECK_STATUS(failing_verify(&request, sizeof request), KEYWARD_E_LENGTH);
    request.realm = invalid_text();
    CHECK_STATUS(failing_verify(&request, sizeof request), KEYWARD_E_UTF8);
    request = asked(NULL, 0);
    request.method = broken_bytes();
    CHECK_STATUS(failing_verify(&request, sizeof request), KEYWARD_E_LENGTH);
    request = asked(NULL, 0);
    request.path = broken_bytes();
    CHECK_STATUS(failing_verify(&request, sizeof request), KEYWARD_E_LENGTH);
    request = asked(NULL, 0);
    request.host = broken_bytes();
    CHECK_STATUS(failing_verify(&request, sizeof request), KEYWARD_E_LENGTH);
    request = asked(NULL, 0);
    request.environment = broken_bytes();
    CHECK_STATUS(failing_verify(&request, sizeof request), KEYWARD_E_LENGTH);
    request.environment = invalid_text();
    CHECK_STATUS(failing_verify(&request, sizeof request), KEYWARD_E_UTF8);
    request = asked(NULL, 0);
    request.peer = broken_bytes();
    CHECK_STATUS(failing_verify(&request, sizeof request), KEYWARD_E_LENGTH);
    request = asked(NULL, 0);
    request.scope_count = 1;
    CHECK_STATUS(failing_verify(&request, sizeof request), KEYWARD_E_LENGTH);
    request.scopes = &scope;
    CHECK_STATUS(failing_verify(&request, sizeof request), KEYWARD_E_LENGTH);
    scope = invalid_text();
    CHECK_STATUS(failing_verify(&request, sizeof request), KEYWARD_E_UTF8);

    /* An older header knew nothing of scopes, peer and clock; a newer one knows more. */
    request = asked(&header, 1);
    request.scopes = &scope;
    request.scope_count = 1;
    request.reserved = 77;
    memset(space, 0xAA, sizeof space);
    CHECK_STATUS(keyward_verify(engine, &request, offsetof(keyward_request, scopes), verdict, sizeof *verdict),
                 KEYWARD_OK);
    CHECK(verdict->decision == KEYWARD_ALLOW);
    memset(&newer, 0, sizeof newer);
    newer.known = asked(&header, 1);
    CHECK_STATUS(keyward_verify(engine, &newer.known, sizeof newer, verdict, sizeof *verdict), KEYWARD_OK);
    CHECK(verdict->decision == KEYWARD_ALLOW);
    newer.unknown[1] = 1;
    CHECK_STATUS(failing_verify(&newer.known, sizeof newer), KEYWARD_E_STRUCT_SIZE);

    /* The same of the verdict. */
    request = asked(&header, 1);
    CHECK_STATUS(keyward_verify(engine, &request, sizeof request, NULL, sizeof *verdict), KEYWARD_E_NULL);
    memset(space, 0xAA, sizeof space);
    CHECK_STATUS(keyward_verify(engine, &request, sizeof request, verdict, 0), KEYWARD_E_STRUCT_SIZE);
    CHECK_STATUS(keyward_verify(engine, &request, sizeof request, verdict, sizeof(void *)), KEYWARD_E_STRUCT_SIZE);
    CHECK_STATUS(keyward_verify(engine, &request, sizeof request, verdict, (size_t)-8), KEYWARD_E_STRUCT_SIZE);
    CHECK(all_bytes_are(space, sizeof space, 0xAA));
    CHECK_STATUS(keyward_verify(engine, &request, sizeof request, (keyward_verdict *)(void *)(space + 4),
                                sizeof *verdict),
                 KEYWARD_E_ALIGNMENT);
    CHECK_STATUS(keyward_verify(engine, &request, sizeof request, verdict, offsetof(keyward_verdict, environment)),
                 KEYWARD_OK);
    CHECK(verdict->decision == KEYWARD_ALLOW && strcmp(verdict->key_id, "reader") == 0);
    CHECK(verdict->environment_len == 0 && verdict->tenant_len == 0);
    CHECK(all_bytes_are(verdict->environment, 256, 0xAA));
    CHECK_STATUS(keyward_verify(engine, &request, sizeof request, verdict, sizeof *verdict + 32), KEYWARD_OK);
    CHECK(verdict->decision == KEYWARD_ALLOW && strcmp(verdict->tenant, "acme") == 0);
    CHECK(all_bytes_are(space + sizeof *verdict, 32, 0) && all_bytes_are(space + sizeof *verdict + 32, 32, 0xAA));
    memset(space, 0xAA, sizeof space);
    CHECK_STATUS(keyward_verify(NULL, &request, sizeof request, verdict, sizeof *verdict + 32), KEYWARD_E_NULL);
    CHECK(all_bytes_are(space, sizeof *verdict + 32, 0));
}

static uint32_t reason_of_key(const char *realm, const char *key, keyward_verdict *verdict)
{
    keyward_request request = asked(NULL, 0);
    request.realm = bytes_of(realm);
    request.flags |= KEYWARD_NO_ROUTING;
    request.path = bytes_of(NULL);
    CHECK_STATUS(keyward_verify_key(engine, bytes_of(key), &request, sizeof request, verdict, sizeof *verdict),
                 KEYWARD_OK);
    return verdict->reason;
}

static void verify_a_key(void)
{
    static char long_key[100000];
    keyward_header header = header_of("Authorization", "Bearer sk_live_0000000000000001");
    keyward_request request = asked(NULL, 0);
    keyward_bytes key = bytes_of("sk_live_0000000000000001");
    keyward_verdict verdict;

    memset(long_key, 'a', sizeof long_key - 1);
    CHECK_STATUS(keyward_verify_key(engine, key, &request, sizeof request, &verdict, sizeof verdict), KEYWARD_OK);
    CHECK(verdict.decision == KEYWARD_ALLOW && strcmp(verdict.key_id, "reader") == 0);
    request.method = bytes_of("POST");
    CHECK_STATUS(keyward_verify_key(engine, key, &request, sizeof request, &verdict, sizeof verdict), KEYWARD_OK);
    CHECK(verdict.reason == KEYWARD_REASON_INSUFFICIENT_SCOPE);

    CHECK(reason_of_key("files", "a:key!with;everything{visible}", &verdict) == KEYWARD_REASON_OK);
    CHECK(strcmp(verdict.tenant, "z\xc3\xbcrich") == 0 && verdict.tenant_len == 7);
    CHECK(reason_of_key("files", " a:key!with;everything{visible}", &verdict) ==
          KEYWARD_REASON_MALFORMED_CREDENTIAL);
    CHECK(reason_of_key("shop", "sk_live_0000000000000001 ", &verdict) == KEYWARD_REASON_MALFORMED_CREDENTIAL);
    CHECK(reason_of_key("shop", "sk_live_00000000000000ff", &verdict) == KEYWARD_REASON_UNKNOWN_KEY);
    CHECK(reason_of_key("shop", "", &verdict) == KEYWARD_REASON_MISSING_CREDENTIAL);
    CHECK(reason_of_key("shop", NULL, &verdict) == KEYWARD_REASON_MISSING_CREDENTIAL);
    CHECK(reason_of_key("shop", long_key, &verdict) == KEYWARD_REASON_MALFORMED_CREDENTIAL);
    CHECK(reason_of_key("files", long_key, &verdict) == KEYWARD_REASON_MALFORMED_CREDENTIAL);
    CHECK(reason_of_key("nowhere", "k", &verdict) == KEYWARD_REASON_UNAVAILABLE);

    memset(&verdict, 0xAA, sizeof verdict);
    request.realm = bytes_of("hub");
    CHECK_STATUS(keyward_verify_key(engine, key, &request, sizeof request, &verdict, sizeof verdict),
                 KEYWARD_E_NOT_A_KEY);
    CHECK(is_denial(&verdict));
    request = asked(&header, 1);
    CHECK_STATUS(keyward_verify_key(engine, key, &request, sizeof request, &verdict, sizeof verdict),
                 KEYWARD_E_VALUE);
    request = asked(NULL, 0);
    CHECK_STATUS(keyward_verify_key(engine, broken_bytes(), &request, sizeof request, &verdict, sizeof verdict),
                 KEYWARD_E_LENGTH);
    CHECK_STATUS(keyward_verify_key(NULL, key, &request, sizeof request, &verdict, sizeof verdict), KEYWARD_E_NULL);
    CHECK(is_denial(&verdict));
    CHECK_STATUS(keyward_verify_key(engine, key, &request, sizeof request, NULL, sizeof verdict), KEYWARD_E_NULL);
    CHECK_STATUS(keyward_verify_key(engine, key, &request, sizeof request, &verdict, 8), KEYWARD_E_STRUCT_SIZE);
}

/* What is seldom and yet good: a NULL that has no length, a list that is not one, names beyond ASCII. */
static void verify_what_is_odd_and_good(void)
{
    static const char *const good[] = {"\xc3\xa4", "\xe2\x82\xac", "sh\xc3\xb6p", "sh\xc3\xb6pping",
                                       "a-realm-with-a-l\xc3\xb6ng-name"};
    static const char *const bad[] = {"\xc3",        "s\xff",         "sho\xff",     "\xff-12345678",
                                      "12345678\xff", "123456789abcdefg\xffhijklmnopqrstuvwxyz"};
    keyward_header headers[4];
    keyward_request request;
    keyward_verdict verdict;
    char *name;
    size_t at;

    memset(headers, 0, sizeof headers);
    headers[0].value = bytes_of("a value without a name");
    headers[1].name = bytes_of("Authorization");
    headers[1].value = bytes_of("Bearer sk_live_0000000000000001");
    headers[2].name = bytes_of("X-Empty");
    request = asked(headers, 4);
    CHECK(reason_of(&request, &verdict) == KEYWARD_REASON_OK && strcmp(verdict.key_id, "reader") == 0);
    headers[1].value = bytes_of(NULL);
    CHECK(reason_of(&request, &verdict) == KEYWARD_REASON_MISSING_CREDENTIAL);

    request = asked((const keyward_header *)((uintptr_t)headers + 1), 0);
    CHECK(reason_of(&request, &verdict) == KEYWARD_REASON_MISSING_CREDENTIAL);

    /* Each in memory that ends with it, so that a tool sees who reads on. */
    request = asked(headers, 4);
    for (at = 0; at < sizeof good / sizeof *good + sizeof bad / sizeof *bad; ++at) {
        const char *text = at < sizeof good / sizeof *good ? good[at] : bad[at - sizeof good / sizeof *good];
        size_t length = strlen(text);
        name = (char *)malloc(length);
        CHECK(name != NULL);
        memcpy(name, text, length);
        request.realm.data = (const uint8_t *)name;
        request.realm.len = length;
        if (at < sizeof good / sizeof *good)
            CHECK(reason_of(&request, &verdict) == KEYWARD_REASON_UNAVAILABLE);
        else
            CHECK_STATUS(failing_verify(&request, sizeof request), KEYWARD_E_UTF8);
        request.environment = request.realm;
        request.realm = bytes_of("shop");
        if (at < sizeof good / sizeof *good)
            CHECK(reason_of(&request, &verdict) == KEYWARD_REASON_MISSING_CREDENTIAL);
        else
            CHECK_STATUS(failing_verify(&request, sizeof request), KEYWARD_E_UTF8);
        request.environment = bytes_of(NULL);
        free(name);
    }
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: requests FIXTURE\n");
        return 2;
    }
    engine = open_engine(argv[1], "keys.kwd", 0);
    for (with_host = 0; with_host <= 1; ++with_host) {
        verify();
        peers();
        verify_with_bad_arguments();
        verify_a_key();
        verify_what_is_odd_and_good();
    }
    CHECK_STATUS(keyward_release(engine), KEYWARD_OK);
    return finish("requests");
}
