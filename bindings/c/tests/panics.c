/*
 * A panic in every export: none gets out, each ends as what lets nobody in. Built against a library that has
 * keyward_test_force_panics; no other has it.
 *
 *   panics FIXTURE
 */
#include "check.h"

#ifdef __cplusplus
extern "C"
#endif
void keyward_test_force_panics(uint32_t forced);

int main(int argc, char **argv)
{
    keyward_header header = header_of("Authorization", "Bearer sk_live_0000000000000001");
    keyward_request request = request_of(&header, 1);
    keyward_engine *engine, *another = (keyward_engine *)(uintptr_t)64;
    keyward_bytes snapshot, keyring, shop = bytes_of("shop");
    keyward_engine_info info;
    keyward_verdict verdict;
    keyward_response response;
    keyward_error error;
    uint64_t counts[8];
    uint32_t changed = 7, flags = 7;
    size_t length = 7;
    char text[KEYWARD_TOKEN_SIZE];

    if (argc != 2) {
        fprintf(stderr, "usage: panics FIXTURE\n");
        return 2;
    }
    snapshot = bytes_of(file_in(argv[1], "keys.kwd"));
    keyring = bytes_of(file_in(argv[1], "keyring.toml"));
    engine = open_engine(argv[1], "keys.kwd", 0);
    CHECK_STATUS(keyward_verify(engine, &request, sizeof request, &verdict, sizeof verdict), KEYWARD_OK);
    CHECK(verdict.decision == KEYWARD_ALLOW);

    keyward_test_force_panics(1);

/* Calls with outputs full of something else, and the verdict of one that was let in. */
#define DIRTY()                                    \
    do {                                           \
        memset(&verdict, 0xAA, sizeof verdict);    \
        verdict.decision = KEYWARD_ALLOW;          \
        memset(&error, 0xAA, sizeof error);        \
        memset(&info, 0xAA, sizeof info);          \
        memset(&response, 0xAA, sizeof response);  \
        memset(counts, 0xAA, sizeof counts);       \
        changed = flags = 7;                       \
        length = 7;                                \
    } while (0)

    DIRTY();
    CHECK_STATUS(keyward_open(snapshot, keyring, NULL, 0, &another, &error, sizeof error), KEYWARD_E_PANIC);
    CHECK(another == NULL && error.code == 0 && error.message[0] == 0);
    another = (keyward_engine *)(uintptr_t)64;
    DIRTY();
    CHECK_STATUS(keyward_open_bytes(snapshot, keyring, NULL, 0, &another, &error, sizeof error), KEYWARD_E_PANIC);
    CHECK(another == NULL && error.code == 0);
    CHECK_STATUS(keyward_retain(engine), KEYWARD_E_PANIC);
    CHECK_STATUS(keyward_release(engine), KEYWARD_E_PANIC);
    DIRTY();
    CHECK_STATUS(keyward_reload(engine, &changed, &error, sizeof error), KEYWARD_E_PANIC);
    CHECK(changed == 0 && error.code == 0);
    DIRTY();
    CHECK_STATUS(keyward_replace_bytes(engine, snapshot, &changed, &error, sizeof error), KEYWARD_E_PANIC);
    CHECK(changed == 0 && error.code == 0);
    DIRTY();
    CHECK_STATUS(keyward_check_pages(engine, &error, sizeof error), KEYWARD_E_PANIC);
    CHECK(error.code == 0);
    CHECK_STATUS(keyward_info(engine, &info, sizeof info), KEYWARD_E_PANIC);
    CHECK(all_bytes_are(&info, sizeof info, 0));
    CHECK_STATUS(keyward_counts(engine, counts, 8), KEYWARD_E_PANIC);
    CHECK(all_bytes_are(counts, sizeof counts, 0));
    DIRTY();
    CHECK_STATUS(keyward_verify(engine, &request, sizeof request, &verdict, sizeof verdict), KEYWARD_E_PANIC);
    CHECK(is_denial(&verdict));
    DIRTY();
    request.header_count = 0;
    CHECK_STATUS(keyward_verify_key(engine, bytes_of("k"), &request, sizeof request, &verdict, sizeof verdict),
                 KEYWARD_E_PANIC);
    CHECK(is_denial(&verdict));
    CHECK_STATUS(keyward_answer(engine, shop, &verdict, sizeof verdict, &response, sizeof response, (uint8_t *)text,
                                sizeof text, &length),
                 KEYWARD_E_PANIC);
    CHECK(all_bytes_are(&response, sizeof response, 0) && length == 0);
    DIRTY();
    CHECK_STATUS(keyward_issue_token(engine, &request, sizeof request, NULL, 0, &verdict, sizeof verdict, text,
                                     sizeof text, &length, &error, sizeof error),
                 KEYWARD_E_PANIC);
    CHECK(is_denial(&verdict) && length == 0 && error.code == 0);
    DIRTY();
    CHECK_STATUS(keyward_check_realm(engine, shop), KEYWARD_E_PANIC);
    CHECK_STATUS(keyward_check_environment(engine, shop, bytes_of("live")), KEYWARD_E_PANIC);
    CHECK_STATUS(keyward_credential_header(engine, shop, 0, &flags, text, sizeof text, &length), KEYWARD_E_PANIC);
    CHECK(flags == 0 && length == 0);
    CHECK(strcmp(keyward_reason_name(KEYWARD_REASON_OK), "panic") == 0);
    CHECK(strcmp(keyward_status_name(KEYWARD_OK), "panic") == 0);
    CHECK(strcmp(keyward_version(), "panic") == 0);
    CHECK(keyward_abi_version() == 0);

    /* A verdict of another size, and pointers that nothing can be written to. */
    DIRTY();
    CHECK_STATUS(keyward_verify(engine, &request, sizeof request, &verdict, offsetof(keyward_verdict, tenant)),
                 KEYWARD_E_PANIC);
    CHECK(all_bytes_are(&verdict, offsetof(keyward_verdict, tenant), 0));
    CHECK_STATUS(keyward_verify(NULL, NULL, 0, NULL, 0), KEYWARD_E_PANIC);
    CHECK_STATUS(keyward_verify(engine, &request, sizeof request, &verdict, 3), KEYWARD_E_PANIC);
    CHECK_STATUS(keyward_counts(engine, NULL, 8), KEYWARD_E_PANIC);
    CHECK_STATUS(keyward_open(snapshot, keyring, NULL, 0, NULL, NULL, 0), KEYWARD_E_PANIC);

    keyward_test_force_panics(0);
    /* Nothing broke. */
    request.header_count = 1;
    CHECK_STATUS(keyward_verify(engine, &request, sizeof request, &verdict, sizeof verdict), KEYWARD_OK);
    CHECK(verdict.decision == KEYWARD_ALLOW);
    CHECK_STATUS(keyward_release(engine), KEYWARD_OK);
    return finish("panics");
}
