/*
 * Answers, tokens, names and questions about realms: what they give, and what they make of bad arguments.
 *
 *   answers FIXTURE
 */
#include "check.h"

static keyward_engine *engine;

static int is_text(keyward_bytes bytes, const char *text)
{
    return bytes.len == strlen(text) && (bytes.len == 0 || memcmp(bytes.data, text, bytes.len) == 0);
}

static keyward_verdict verdict_of(const char *realm, const char *method, const char *path,
                                  const char *authorization)
{
    keyward_header header = header_of("Authorization", authorization);
    keyward_request request = request_of(&header, authorization == NULL ? 0 : 1);
    keyward_verdict verdict;
    request.realm = bytes_of(realm);
    request.method = bytes_of(method);
    request.path = bytes_of(path);
    CHECK_STATUS(keyward_verify(engine, &request, sizeof request, &verdict, sizeof verdict), KEYWARD_OK);
    return verdict;
}

static void answer(void)
{
    keyward_bytes shop = bytes_of("shop");
    keyward_verdict verdict = verdict_of("shop", "GET", "/orders", NULL);
    keyward_response response;
    uint8_t buffer[4096];
    size_t needed, all;

    CHECK_STATUS(keyward_answer(engine, shop, &verdict, sizeof verdict, &response, sizeof response, buffer,
                                sizeof buffer, &needed),
                 KEYWARD_OK);
    CHECK(response.status == 401 && response.header_count == 1);
    CHECK(is_text(response.content_type, "application/problem+json"));
    CHECK(is_text(response.body, "{\"type\":\"about:blank\",\"title\":\"Unauthorized\",\"status\":401}"));
    CHECK(is_text(response.headers[0].name, "WWW-Authenticate"));
    CHECK(is_text(response.headers[0].value, "Bearer realm=\"Shop\""));
    CHECK(needed <= sizeof buffer && response.body.data >= buffer && response.body.data < buffer + needed);

    verdict = verdict_of("shop", "GET", "/orders", "Bearer sk_live_00000000000000ff");
    CHECK_STATUS(keyward_answer(engine, shop, &verdict, sizeof verdict, &response, sizeof response, buffer,
                                sizeof buffer, NULL),
                 KEYWARD_OK);
    CHECK(is_text(response.headers[0].value, "Bearer realm=\"Shop\", error=\"invalid_token\""));

    verdict = verdict_of("shop", "POST", "/orders", "Bearer sk_live_0000000000000001");
    CHECK_STATUS(keyward_answer(engine, shop, &verdict, sizeof verdict, &response, sizeof response, buffer,
                                sizeof buffer, &needed),
                 KEYWARD_OK);
    CHECK(response.status == 403 && is_text(response.body, "{\"missing\":\"orders:write\"}"));
    CHECK(is_text(response.headers[0].value,
                  "Bearer realm=\"Shop\", error=\"insufficient_scope\", scope=\"orders:write\""));

    /* Every buffer that is too small says what would do, and that does. */
    for (all = 0; all < needed; ++all) {
        size_t said = 0;
        memset(&response, 0xAA, sizeof response);
        memset(buffer, 0xAA, sizeof buffer);
        CHECK_STATUS(keyward_answer(engine, shop, &verdict, sizeof verdict, &response, sizeof response, buffer, all,
                                    &said),
                     KEYWARD_E_BUFFER);
        CHECK(said == needed && all_bytes_are(&response, sizeof response, 0));
        CHECK(all_bytes_are(buffer + all, sizeof buffer - all, 0xAA));
    }
    CHECK_STATUS(keyward_answer(engine, shop, &verdict, sizeof verdict, &response, sizeof response, buffer, needed,
                                &needed),
                 KEYWARD_OK);
    CHECK_STATUS(keyward_answer(engine, shop, &verdict, sizeof verdict, &response, sizeof response, NULL, 4096,
                                &needed),
                 KEYWARD_E_BUFFER);

    verdict = verdict_of("shop", "GET", "/orders", "Bearer sk_live_0000000000000003");
    CHECK(verdict.decision == KEYWARD_ALLOW);
    CHECK_STATUS(keyward_answer(engine, shop, &verdict, sizeof verdict, &response, sizeof response, NULL, 0, NULL),
                 KEYWARD_OK);
    CHECK(response.status == 200 && response.header_count == 0 && response.body.data == NULL);
    verdict = verdict_of("shop", "GET", "/orders", "Bearer sk_live_0000000000000003");
    CHECK(verdict.reason == KEYWARD_REASON_RATE_LIMITED && verdict.retry_after > 3590);
    CHECK_STATUS(keyward_answer(engine, shop, &verdict, sizeof verdict, &response, sizeof response, buffer,
                                sizeof buffer, NULL),
                 KEYWARD_OK);
    CHECK(response.status == 429 && response.header_count == 1);
    CHECK(is_text(response.headers[0].name, "Retry-After") && (size_t)atoi((const char *)buffer) == 0);

    /* A verdict that says nothing. */
    memset(&verdict, 0, sizeof verdict);
    CHECK_STATUS(keyward_answer(engine, shop, &verdict, sizeof verdict, &response, sizeof response, buffer,
                                sizeof buffer, NULL),
                 KEYWARD_OK);
    CHECK(response.status == 503 && response.header_count == 0);
    CHECK_STATUS(keyward_answer(engine, bytes_of("nowhere"), &verdict, sizeof verdict, &response, sizeof response,
                                buffer, sizeof buffer, NULL),
                 KEYWARD_OK);
    CHECK(response.status == 503);
}

static void answer_with_bad_arguments(void)
{
    keyward_bytes shop = bytes_of("shop");
    keyward_verdict verdict = verdict_of("shop", "POST", "/orders", "Bearer sk_live_0000000000000001");
    keyward_verdict good = verdict;
    keyward_response response;
    uint8_t buffer[4096];
    size_t needed;

#define ANSWER(engine, realm, verdict, verdict_size, response, response_size)                            \
    keyward_answer(engine, realm, verdict, verdict_size, response, response_size, buffer, sizeof buffer, &needed)

    CHECK_STATUS(ANSWER(NULL, shop, &verdict, sizeof verdict, &response, sizeof response), KEYWARD_E_NULL);
    CHECK(all_bytes_are(&response, sizeof response, 0) && needed == 0);
    CHECK_STATUS(ANSWER(engine, broken_bytes(), &verdict, sizeof verdict, &response, sizeof response),
                 KEYWARD_E_LENGTH);
    CHECK_STATUS(ANSWER(engine, invalid_text(), &verdict, sizeof verdict, &response, sizeof response),
                 KEYWARD_E_UTF8);
    CHECK_STATUS(ANSWER(engine, shop, NULL, sizeof verdict, &response, sizeof response), KEYWARD_E_NULL);
    CHECK_STATUS(ANSWER(engine, shop, &verdict, 0, &response, sizeof response), KEYWARD_E_STRUCT_SIZE);
    CHECK_STATUS(ANSWER(engine, shop, &verdict, sizeof(void *), &response, sizeof response), KEYWARD_E_STRUCT_SIZE);
    CHECK_STATUS(ANSWER(engine, shop, &verdict, (size_t)-8, &response, sizeof response), KEYWARD_E_STRUCT_SIZE);
    CHECK_STATUS(ANSWER(engine, shop, &verdict, sizeof verdict, NULL, sizeof response), KEYWARD_E_NULL);
    CHECK_STATUS(ANSWER(engine, shop, &verdict, sizeof verdict, &response, 0), KEYWARD_E_STRUCT_SIZE);
    CHECK_STATUS(ANSWER(engine, shop, &verdict, sizeof verdict, &response, sizeof response - 8),
                 KEYWARD_E_STRUCT_SIZE);
    CHECK_STATUS(ANSWER(engine, shop, &verdict, sizeof verdict, &response, (size_t)-8), KEYWARD_E_STRUCT_SIZE);
    CHECK_STATUS(keyward_answer(engine, shop, &verdict, sizeof verdict, &response, sizeof response, buffer,
                                sizeof buffer, (size_t *)((uintptr_t)&needed + 1)),
                 KEYWARD_OK);
    /* The head of a verdict, from before there were texts in it. */
    verdict.scope_len = 0;
    CHECK_STATUS(ANSWER(engine, shop, &verdict, offsetof(keyward_verdict, key_id), &response, sizeof response),
                 KEYWARD_OK);
    CHECK(response.status == 403 && is_text(response.body, "{\"missing\":\"\"}"));

    /* A verdict that no call wrote. */
    verdict = good;
    verdict.reason = 4711;
    CHECK_STATUS(ANSWER(engine, shop, &verdict, sizeof verdict, &response, sizeof response), KEYWARD_E_VALUE);
    verdict.reason = KEYWARD_REASON_OK;
    CHECK_STATUS(ANSWER(engine, shop, &verdict, sizeof verdict, &response, sizeof response), KEYWARD_E_VALUE);
    CHECK(response.status == 0);
    verdict = good;
    verdict.decision = KEYWARD_ALLOW;
    CHECK_STATUS(ANSWER(engine, shop, &verdict, sizeof verdict, &response, sizeof response), KEYWARD_E_VALUE);
    verdict = good;
    verdict.scope_len = KEYWARD_SCOPE_SIZE + 1;
    CHECK_STATUS(ANSWER(engine, shop, &verdict, sizeof verdict, &response, sizeof response), KEYWARD_E_VALUE);
    verdict = good;
    verdict.scope[0] = (char)0xff;
    CHECK_STATUS(ANSWER(engine, shop, &verdict, sizeof verdict, &response, sizeof response), KEYWARD_E_UTF8);
    verdict = good;
    verdict.challenge = 9;
    CHECK_STATUS(ANSWER(engine, shop, &verdict, sizeof verdict, &response, sizeof response), KEYWARD_E_VALUE);
}

/* "robot:a-secret-of-a-robot" */
#define ROBOT "Basic cm9ib3Q6YS1zZWNyZXQtb2YtYS1yb2JvdA=="

static void issue(void)
{
    keyward_header header = header_of("Authorization", ROBOT);
    keyward_request request = request_of(&header, 1);
    keyward_token_options options;
    keyward_verdict verdict;
    keyward_error error;
    char token[KEYWARD_TOKEN_SIZE], bearer[KEYWARD_TOKEN_SIZE + 8];
    size_t length = 0;

    request.realm = bytes_of("hub");
    request.method = bytes_of("POST");
    request.path = bytes_of("/login");
#define ISSUE(request, size, options, options_size)                                                        \
    keyward_issue_token(engine, request, size, options, options_size, &verdict, sizeof verdict, token,      \
                        sizeof token, &length, &error, sizeof error)

    CHECK_STATUS(ISSUE(&request, sizeof request, NULL, 0), KEYWARD_OK);
    CHECK(length > 0 && strlen(token) == length && error.code == 0);
    CHECK(verdict.decision == KEYWARD_ALLOW && strcmp(verdict.key_id, "robot") == 0);
    snprintf(bearer, sizeof bearer, "Bearer %s", token);
    verdict = verdict_of("hub", "GET", "/things", bearer);
    CHECK(verdict.decision == KEYWARD_ALLOW && strcmp(verdict.subject, "robot") == 0 && verdict.has_subject == 1);
    CHECK(strcmp(verdict.tenant, "lake") == 0);

    memset(&options, 0, sizeof options);
    options.credential = bytes_of("token");
    options.kid = bytes_of("hub-1");
    options.subject = bytes_of("somebody");
    CHECK_STATUS(ISSUE(&request, sizeof request, &options, sizeof options), KEYWARD_OK);
    snprintf(bearer, sizeof bearer, "Bearer %s", token);
    verdict = verdict_of("hub", "GET", "/things", bearer);
    CHECK(strcmp(verdict.subject, "somebody") == 0 && verdict.subject_len == 8);
    /* An older header knew of the credential alone. */
    CHECK_STATUS(ISSUE(&request, sizeof request, &options, 16), KEYWARD_OK);
    options.subject = bytes_of("");
    CHECK_STATUS(ISSUE(&request, sizeof request, &options, sizeof options), KEYWARD_OK);
    snprintf(bearer, sizeof bearer, "Bearer %s", token);
    verdict = verdict_of("hub", "GET", "/things", bearer);
    CHECK(verdict.decision == KEYWARD_ALLOW && verdict.subject_len == 0 && verdict.has_subject == 1);

    options.kid = bytes_of("other");
    CHECK_STATUS(ISSUE(&request, sizeof request, &options, sizeof options), KEYWARD_E_TOKEN);
    CHECK(length == 0 && error.code == KEYWARD_E_TOKEN && verdict.decision == KEYWARD_ALLOW);
    options.kid = broken_bytes();
    CHECK_STATUS(ISSUE(&request, sizeof request, &options, sizeof options), KEYWARD_E_LENGTH);
    CHECK(is_denial(&verdict) && error.code == KEYWARD_E_LENGTH);
    options.kid = invalid_text();
    CHECK_STATUS(ISSUE(&request, sizeof request, &options, sizeof options), KEYWARD_E_UTF8);
    CHECK_STATUS(ISSUE(&request, sizeof request, &options, 0), KEYWARD_E_STRUCT_SIZE);
    CHECK_STATUS(ISSUE(&request, sizeof request, &options, (size_t)-8), KEYWARD_E_STRUCT_SIZE);
    CHECK_STATUS(ISSUE(NULL, sizeof request, NULL, 0), KEYWARD_E_NULL);
    CHECK_STATUS(ISSUE(&request, 8, NULL, 0), KEYWARD_E_STRUCT_SIZE);
    CHECK(is_denial(&verdict));

    /* Refused, and let in without a key. */
    header = header_of("Authorization", "Basic cm9ib3Q6bm8=");
    CHECK_STATUS(ISSUE(&request, sizeof request, NULL, 0), KEYWARD_E_DENIED);
    CHECK(verdict.reason == KEYWARD_REASON_UNKNOWN_KEY && error.code == KEYWARD_E_DENIED && length == 0);
    request.realm = bytes_of("shop");
    request.path = bytes_of("/health");
    CHECK_STATUS(ISSUE(&request, sizeof request, NULL, 0), KEYWARD_E_DENIED);
    CHECK(verdict.decision == KEYWARD_ALLOW);

    CHECK_STATUS(keyward_issue_token(engine, &request, sizeof request, NULL, 0, &verdict, sizeof verdict, token,
                                     KEYWARD_TOKEN_SIZE - 1, &length, &error, sizeof error),
                 KEYWARD_E_BUFFER);
    CHECK(is_denial(&verdict));
    CHECK_STATUS(keyward_issue_token(engine, &request, sizeof request, NULL, 0, &verdict, sizeof verdict, NULL,
                                     sizeof token, &length, &error, sizeof error),
                 KEYWARD_E_NULL);
    CHECK_STATUS(keyward_issue_token(engine, &request, sizeof request, NULL, 0, NULL, sizeof verdict, token,
                                     sizeof token, &length, &error, sizeof error),
                 KEYWARD_E_NULL);
    CHECK_STATUS(keyward_issue_token(engine, &request, sizeof request, NULL, 0, &verdict, 8, token, sizeof token,
                                     &length, &error, sizeof error),
                 KEYWARD_E_STRUCT_SIZE);
    CHECK_STATUS(keyward_issue_token(engine, &request, sizeof request, NULL, 0, &verdict, sizeof verdict, token,
                                     sizeof token, &length, &error, 8),
                 KEYWARD_E_STRUCT_SIZE);
    CHECK_STATUS(keyward_issue_token(NULL, &request, sizeof request, NULL, 0, &verdict, sizeof verdict, token,
                                     sizeof token, NULL, NULL, 0),
                 KEYWARD_E_NULL);
}

static void realms(void)
{
    keyward_bytes shop = bytes_of("shop");
    char name[64];
    size_t needed = 7;
    uint32_t flags = 7;

    CHECK_STATUS(keyward_check_realm(engine, shop), KEYWARD_OK);
    CHECK_STATUS(keyward_check_realm(engine, bytes_of("Shop")), KEYWARD_E_NO_REALM);
    CHECK_STATUS(keyward_check_realm(engine, bytes_of(NULL)), KEYWARD_E_NO_REALM);
    CHECK_STATUS(keyward_check_realm(engine, broken_bytes()), KEYWARD_E_LENGTH);
    CHECK_STATUS(keyward_check_realm(engine, invalid_text()), KEYWARD_E_UTF8);
    CHECK_STATUS(keyward_check_realm(NULL, shop), KEYWARD_E_NULL);
    CHECK_STATUS(keyward_check_environment(engine, shop, bytes_of("test")), KEYWARD_OK);
    CHECK_STATUS(keyward_check_environment(engine, shop, bytes_of("none")), KEYWARD_E_NO_ENVIRONMENT);
    CHECK_STATUS(keyward_check_environment(engine, bytes_of("nowhere"), bytes_of("test")), KEYWARD_E_NO_REALM);
    CHECK_STATUS(keyward_check_environment(engine, shop, broken_bytes()), KEYWARD_E_LENGTH);
    CHECK_STATUS(keyward_check_environment(engine, shop, invalid_text()), KEYWARD_E_UTF8);
    CHECK_STATUS(keyward_check_environment(NULL, shop, bytes_of("test")), KEYWARD_E_NULL);

    CHECK_STATUS(keyward_credential_header(engine, shop, 0, &flags, name, sizeof name, &needed), KEYWARD_OK);
    CHECK(strcmp(name, "Authorization") == 0 && needed == 14 && flags == KEYWARD_HEADER_SECRET_USER);
    CHECK_STATUS(keyward_credential_header(engine, shop, 1, &flags, name, sizeof name, &needed), KEYWARD_E_END);
    CHECK(needed == 0 && flags == 0);
    CHECK_STATUS(keyward_credential_header(engine, bytes_of("files"), 0, &flags, name, sizeof name, NULL), KEYWARD_OK);
    CHECK(strcmp(name, "X-Api-Key") == 0 && flags == 0);
    CHECK_STATUS(keyward_credential_header(engine, bytes_of("hub"), 0, &flags, name, sizeof name, NULL), KEYWARD_OK);
    CHECK(flags == 0);
    CHECK_STATUS(keyward_credential_header(engine, shop, 0, NULL, name, 13, &needed), KEYWARD_E_BUFFER);
    CHECK(needed == 14);
    CHECK_STATUS(keyward_credential_header(engine, shop, 0, NULL, name, 14, &needed), KEYWARD_OK);
    CHECK_STATUS(keyward_credential_header(engine, shop, 0, NULL, NULL, 64, &needed), KEYWARD_E_BUFFER);
    CHECK_STATUS(keyward_credential_header(engine, shop, (size_t)-1, NULL, name, 64, &needed), KEYWARD_E_END);
    CHECK_STATUS(keyward_credential_header(engine, bytes_of("no"), 0, NULL, name, 64, &needed), KEYWARD_E_NO_REALM);
    CHECK_STATUS(keyward_credential_header(engine, broken_bytes(), 0, NULL, name, 64, &needed), KEYWARD_E_LENGTH);
    CHECK_STATUS(keyward_credential_header(NULL, shop, 0, NULL, name, 64, &needed), KEYWARD_E_NULL);
}

static void names(void)
{
    CHECK(keyward_abi_version() == KEYWARD_ABI_VERSION);
    CHECK(strcmp(keyward_version(), KEYWARD_VERSION) == 0);
    CHECK(strcmp(keyward_reason_name(KEYWARD_REASON_OK), "ok") == 0);
    CHECK(strcmp(keyward_reason_name(KEYWARD_REASON_NONE), "none") == 0);
    CHECK(strcmp(keyward_reason_name(KEYWARD_REASON_RATE_LIMITED), "rate_limited") == 0);
    CHECK(strcmp(keyward_reason_name(4711), "unknown") == 0);
    CHECK(strcmp(keyward_status_name(KEYWARD_OK), "ok") == 0);
    CHECK(strcmp(keyward_status_name(KEYWARD_E_PANIC), "panic") == 0);
    CHECK(strcmp(keyward_status_name(-1), "unknown") == 0);
    /* 0 lets nobody in. */
    CHECK(KEYWARD_DENY == 0 && KEYWARD_ALLOW != 0 && KEYWARD_ALLOW != 1 && KEYWARD_REASON_OK != 0);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: answers FIXTURE\n");
        return 2;
    }
    engine = open_engine(argv[1], "keys.kwd", 0);
    answer();
    answer_with_bad_arguments();
    issue();
    realms();
    names();
    CHECK_STATUS(keyward_release(engine), KEYWARD_OK);
    return finish("answers");
}
