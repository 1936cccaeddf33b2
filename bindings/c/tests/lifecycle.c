/*
 * Opening, reloading, telling and releasing: what they do, and what they make of bad arguments.
 *
 *   lifecycle FIXTURE
 */
#define _POSIX_C_SOURCE 200809L
#include "check.h"

static const char *directory;

static keyward_bytes path_of(const char *name)
{
    return bytes_of(file_in(directory, name));
}

static unsigned char *read_file(const char *path, size_t *size)
{
    FILE *file = fopen(path, "rb");
    unsigned char *bytes = (unsigned char *)malloc(1 << 20);
    if (file == NULL || bytes == NULL) {
        fprintf(stderr, "%s cannot be read\n", path);
        exit(2);
    }
    *size = fread(bytes, 1, 1 << 20, file);
    fclose(file);
    return bytes;
}

static void write_file(const char *path, const void *bytes, size_t size)
{
    FILE *file = fopen(path, "wb");
    if (file == NULL || fwrite(bytes, 1, size, file) != size || fclose(file) != 0) {
        fprintf(stderr, "%s cannot be written\n", path);
        exit(2);
    }
}

/* Opens with good arguments but for those given, and says that nothing came out. */
static int32_t failing_open(keyward_bytes snapshot, keyward_bytes keyring, const keyward_options *options,
                            size_t options_size)
{
    keyward_engine *engine = (keyward_engine *)(uintptr_t)64;
    keyward_error error;
    int32_t status;
    memset(&error, 0xAA, sizeof error);
    status = keyward_open(snapshot, keyring, options, options_size, &engine, &error, sizeof error);
    CHECK(engine == NULL);
    CHECK(error.code == status);
    CHECK(error.message_len == strlen(error.message));
    CHECK(error.message_len > 0);
    engine = (keyward_engine *)(uintptr_t)64;
    CHECK(keyward_open(snapshot, keyring, options, options_size, &engine, NULL, 0) == status);
    CHECK(engine == NULL);
    return status;
}

static void open_with_bad_arguments(void)
{
    keyward_bytes snapshot = path_of("keys.kwd"), keyring = path_of("keyring.toml");
    keyward_engine *engine = NULL;
    keyward_error error;
    unsigned char space[sizeof(keyward_error) + 64];

    CHECK_STATUS(failing_open(bytes_of(NULL), keyring, NULL, 0), KEYWARD_E_NULL);
    CHECK_STATUS(failing_open(bytes_of(""), keyring, NULL, 0), KEYWARD_E_NULL);
    CHECK_STATUS(failing_open(snapshot, bytes_of(NULL), NULL, 0), KEYWARD_E_NULL);
    CHECK_STATUS(failing_open(broken_bytes(), keyring, NULL, 0), KEYWARD_E_LENGTH);
    CHECK_STATUS(failing_open(snapshot, broken_bytes(), NULL, 0), KEYWARD_E_LENGTH);
    CHECK_STATUS(failing_open(path_of("nowhere.kwd"), keyring, NULL, 0), KEYWARD_E_NOT_FOUND);
    CHECK_STATUS(failing_open(snapshot, path_of("nowhere.toml"), NULL, 0), KEYWARD_E_NOT_FOUND);
    CHECK_STATUS(failing_open(bytes_of(directory), keyring, NULL, 0), KEYWARD_E_IO);
    CHECK_STATUS(failing_open(path_of("keyring.toml"), keyring, NULL, 0), KEYWARD_E_NOT_A_SNAPSHOT);
    CHECK_STATUS(failing_open(snapshot, path_of("keys.kwd"), NULL, 0), KEYWARD_E_KEYRING_EXPOSED);
    CHECK_STATUS(failing_open(snapshot, path_of("other.toml"), NULL, 0), KEYWARD_E_PEPPER);
    CHECK_STATUS(failing_open(path_of("truncated.kwd"), keyring, NULL, 0), KEYWARD_E_TRUNCATED);
    CHECK_STATUS(failing_open(path_of("damaged.kwd"), keyring, NULL, 0), KEYWARD_E_DAMAGED);

    /* Nowhere to put the engine. */
    memset(&error, 0xAA, sizeof error);
    CHECK_STATUS(keyward_open(snapshot, keyring, NULL, 0, NULL, &error, sizeof error), KEYWARD_E_NULL);
    CHECK(error.code == KEYWARD_E_NULL);

    /* Sizes of the error: zero, a pointer's, an older header's, a newer one's. */
    CHECK_STATUS(keyward_open(bytes_of(NULL), keyring, NULL, 0, &engine, &error, 0), KEYWARD_E_STRUCT_SIZE);
    CHECK_STATUS(keyward_open(bytes_of(NULL), keyring, NULL, 0, &engine, &error, sizeof(void *)),
                 KEYWARD_E_STRUCT_SIZE);
    CHECK_STATUS(keyward_open(bytes_of(NULL), keyring, NULL, 0, &engine, &error, (size_t)-8),
                 KEYWARD_E_STRUCT_SIZE);
    memset(space, 0xAA, sizeof space);
    CHECK_STATUS(keyward_open(path_of("nowhere.kwd"), keyring, NULL, 0, &engine, (keyward_error *)(void *)space, 24),
                 KEYWARD_E_NOT_FOUND);
    CHECK(strlen((char *)space + 8) == 15);
    CHECK(all_bytes_are(space + 24, sizeof space - 24, 0xAA));
    memset(space, 0xAA, sizeof space);
    CHECK_STATUS(keyward_open(path_of("nowhere.kwd"), keyring, NULL, 0, &engine, (keyward_error *)(void *)space,
                              sizeof(keyward_error) + 32),
                 KEYWARD_E_NOT_FOUND);
    CHECK(all_bytes_are(space + sizeof(keyward_error), 32, 0));
    CHECK(all_bytes_are(space + sizeof(keyward_error) + 32, 32, 0xAA));
    /* A pointer that no struct can stand at. */
    CHECK_STATUS(keyward_open(bytes_of(NULL), keyring, NULL, 0, &engine, (keyward_error *)(void *)(space + 1), 488),
                 KEYWARD_E_ALIGNMENT);
    CHECK(engine == NULL);
}

static void open_with_options(void)
{
    struct {
        keyward_options known;
        uint64_t unknown[2];
    } newer;
    keyward_bytes snapshot = path_of("keys.kwd"), keyring = path_of("keyring.toml");
    keyward_options options;
    keyward_engine *engine = NULL;
    keyward_engine_info info;

    memset(&options, 0, sizeof options);
    CHECK_STATUS(failing_open(snapshot, keyring, &options, 0), KEYWARD_E_STRUCT_SIZE);
    CHECK_STATUS(failing_open(snapshot, keyring, &options, 8), KEYWARD_E_STRUCT_SIZE);
    CHECK_STATUS(failing_open(snapshot, keyring, &options, sizeof options - 1), KEYWARD_E_STRUCT_SIZE);
    CHECK_STATUS(failing_open(snapshot, keyring, &options, (size_t)-8), KEYWARD_E_STRUCT_SIZE);
    options.mode = 3;
    CHECK_STATUS(failing_open(snapshot, keyring, &options, sizeof options), KEYWARD_E_VALUE);
    options.mode = KEYWARD_MODE_COPY;
    options.check = 3;
    CHECK_STATUS(failing_open(snapshot, keyring, &options, sizeof options), KEYWARD_E_VALUE);
    options.check = KEYWARD_CHECK_WHOLE;
    options.flags = 0x80;
    CHECK_STATUS(failing_open(snapshot, keyring, &options, sizeof options), KEYWARD_E_VALUE);
    options.flags = 0;
    options.reserved = 1;
    CHECK_STATUS(failing_open(snapshot, keyring, &options, sizeof options), KEYWARD_E_VALUE);
    options.reserved = 0;
    options.limiter_slots = (uint64_t)-1;
    CHECK_STATUS(failing_open(snapshot, keyring, &options, sizeof options), KEYWARD_E_VALUE);
    options.limiter_slots = 1000;
    options.state_path = broken_bytes();
    CHECK_STATUS(failing_open(snapshot, keyring, &options, sizeof options), KEYWARD_E_LENGTH);
    options.state_path = bytes_of(NULL);

    CHECK_STATUS(keyward_open(snapshot, keyring, &options, sizeof options, &engine, NULL, 0), KEYWARD_OK);
    CHECK_STATUS(keyward_info(engine, &info, sizeof info), KEYWARD_OK);
    CHECK(info.flags == (KEYWARD_INFO_LOADED | KEYWARD_INFO_CHECKED));
    CHECK(info.limiter_slots == 1000);
    CHECK_STATUS(keyward_release(engine), KEYWARD_OK);

    /* An older header, that knew nothing of limiter_slots: the default. */
    CHECK_STATUS(keyward_open(snapshot, keyring, &options, 16, &engine, NULL, 0), KEYWARD_OK);
    CHECK_STATUS(keyward_info(engine, &info, sizeof info), KEYWARD_OK);
    CHECK(info.limiter_slots == 131072);
    CHECK_STATUS(keyward_release(engine), KEYWARD_OK);

    /* A newer header: what this library does not know has to be zero. */
    memset(&newer, 0, sizeof newer);
    newer.known = options;
    CHECK_STATUS(keyward_open(snapshot, keyring, &newer.known, sizeof newer, &engine, NULL, 0), KEYWARD_OK);
    CHECK_STATUS(keyward_release(engine), KEYWARD_OK);
    newer.unknown[1] = 1;
    CHECK_STATUS(failing_open(snapshot, keyring, &newer.known, sizeof newer), KEYWARD_E_STRUCT_SIZE);

    /* No snapshot yet. */
    memset(&options, 0, sizeof options);
    options.flags = KEYWARD_OPEN_LATER;
    CHECK_STATUS(keyward_open(path_of("nowhere.kwd"), keyring, &options, sizeof options, &engine, NULL, 0),
                 KEYWARD_OK);
    CHECK_STATUS(keyward_info(engine, &info, sizeof info), KEYWARD_OK);
    CHECK(info.flags == 0 && info.generation == 0 && info.last_error == KEYWARD_E_NOT_FOUND);
    CHECK(info.last_error_message_len == strlen(info.last_error_message) && info.last_error_at > 0);
    CHECK_STATUS(keyward_check_realm(engine, bytes_of("shop")), KEYWARD_E_NO_SNAPSHOT);
    CHECK_STATUS(keyward_release(engine), KEYWARD_OK);
}

static void open_from_memory(void)
{
    keyward_bytes keyring = path_of("keyring.toml"), bytes;
    keyward_engine *engine = (keyward_engine *)(uintptr_t)64;
    keyward_options options;
    keyward_error error;
    uint32_t changed = 7;
    size_t size;
    unsigned char *content = read_file(file_in(directory, "keys.kwd"), &size);

    bytes.data = content;
    bytes.len = size;
    CHECK_STATUS(keyward_open_bytes(bytes, keyring, NULL, 0, NULL, &error, sizeof error), KEYWARD_E_NULL);
    CHECK_STATUS(keyward_open_bytes(broken_bytes(), keyring, NULL, 0, &engine, &error, sizeof error),
                 KEYWARD_E_LENGTH);
    CHECK(engine == NULL);
    CHECK_STATUS(keyward_open_bytes(bytes_of(NULL), keyring, NULL, 0, &engine, &error, sizeof error),
                 KEYWARD_E_NOT_A_SNAPSHOT);
    CHECK_STATUS(keyward_open_bytes(bytes, bytes_of(NULL), NULL, 0, &engine, &error, sizeof error),
                 KEYWARD_E_NULL);
    memset(&options, 0, sizeof options);
    CHECK_STATUS(keyward_open_bytes(bytes, keyring, &options, 8, &engine, &error, sizeof error),
                 KEYWARD_E_STRUCT_SIZE);
    CHECK_STATUS(keyward_open_bytes(bytes, keyring, NULL, 0, &engine, &error, 3), KEYWARD_E_STRUCT_SIZE);
    options.flags = KEYWARD_OPEN_LATER;
    CHECK_STATUS(keyward_open_bytes(bytes, keyring, &options, sizeof options, &engine, &error, sizeof error),
                 KEYWARD_E_VALUE);
    bytes.len = 4096;
    CHECK_STATUS(keyward_open_bytes(bytes, keyring, NULL, 0, &engine, &error, sizeof error),
                 KEYWARD_E_TRUNCATED);
    bytes.len = size;
    CHECK_STATUS(keyward_open_bytes(bytes, keyring, NULL, 0, &engine, &error, sizeof error), KEYWARD_OK);
    CHECK(error.code == 0 && error.message_len == 0 && error.message[0] == 0);

    CHECK_STATUS(keyward_reload(engine, &changed, &error, sizeof error), KEYWARD_E_NO_FILE);
    CHECK(changed == 0 && error.code == KEYWARD_E_NO_FILE);
    CHECK_STATUS(keyward_replace_bytes(NULL, bytes, &changed, &error, sizeof error), KEYWARD_E_NULL);
    CHECK_STATUS(keyward_replace_bytes(engine, broken_bytes(), &changed, &error, sizeof error), KEYWARD_E_LENGTH);
    CHECK_STATUS(keyward_replace_bytes(engine, bytes, &changed, &error, 0), KEYWARD_E_STRUCT_SIZE);
    changed = 7;
    CHECK_STATUS(keyward_replace_bytes(engine, bytes, &changed, &error, sizeof error), KEYWARD_OK);
    CHECK(changed == 0);
    free(content);
    content = read_file(file_in(directory, "next.kwd"), &size);
    bytes.data = content;
    bytes.len = size;
    CHECK_STATUS(keyward_replace_bytes(engine, bytes, &changed, NULL, 0), KEYWARD_OK);
    CHECK(changed == 1);
    content[size / 2] ^= 1;
    CHECK_STATUS(keyward_replace_bytes(engine, bytes, NULL, NULL, 0), KEYWARD_E_DAMAGED);
    CHECK_STATUS(keyward_release(engine), KEYWARD_OK);
    free(content);
}

static void reload_and_info(void)
{
    unsigned char space[sizeof(keyward_engine_info) + 64];
    keyward_engine_info *info = (keyward_engine_info *)(void *)space;
    keyward_engine *engine;
    keyward_error error;
    uint32_t changed = 7;
    size_t size;
    char *live = strdup(file_in(directory, "live.kwd"));
    unsigned char *content = read_file(file_in(directory, "keys.kwd"), &size);

    remove(live);
    write_file(live, content, size);
    free(content);
    engine = open_engine(directory, "live.kwd", 0);
    CHECK_STATUS(keyward_reload(engine, &changed, &error, sizeof error), KEYWARD_OK);
    CHECK(changed == 0 && error.code == 0);

    content = read_file(file_in(directory, "next.kwd"), &size);
    remove(live);
    write_file(live, content, size);
    CHECK_STATUS(keyward_reload(engine, &changed, &error, sizeof error), KEYWARD_OK);
    CHECK(changed == 1);
    CHECK_STATUS(keyward_info(engine, info, sizeof *info), KEYWARD_OK);
    CHECK(info->generation == 2 && info->base_generation == 0 && info->keys == 7 && info->realms == 3);
    CHECK(info->bytes == size && info->since > 0 && info->last_error == 0 && info->last_error_message_len == 0);
    CHECK((info->flags & KEYWARD_INFO_LOADED) != 0 && (info->flags & KEYWARD_INFO_DAMAGED) == 0);
    CHECK_STATUS(keyward_check_pages(engine, &error, sizeof error), KEYWARD_OK);
    CHECK_STATUS(keyward_check_pages(engine, NULL, 0), KEYWARD_OK);

    /* The file is gone, and then an older one: the last good generation stays. */
    remove(live);
    CHECK_STATUS(keyward_reload(engine, NULL, NULL, 0), KEYWARD_E_NOT_FOUND);
    CHECK_STATUS(keyward_info(engine, info, sizeof *info), KEYWARD_OK);
    CHECK(info->generation == 2 && info->last_error == KEYWARD_E_NOT_FOUND);
    free(content);
    content = read_file(file_in(directory, "keys.kwd"), &size);
    write_file(live, content, size);
    CHECK_STATUS(keyward_reload(engine, &changed, &error, sizeof error), KEYWARD_E_OLDER);
    CHECK(changed == 0 && strstr(error.message, "generation") != NULL);

    CHECK_STATUS(keyward_reload(engine, &changed, &error, 4), KEYWARD_E_STRUCT_SIZE);
    CHECK_STATUS(keyward_reload(NULL, &changed, &error, sizeof error), KEYWARD_E_NULL);
    CHECK(error.code == KEYWARD_E_NULL);
    CHECK_STATUS(keyward_check_pages(NULL, &error, sizeof error), KEYWARD_E_NULL);
    CHECK_STATUS(keyward_check_pages(engine, &error, 4), KEYWARD_E_STRUCT_SIZE);

    CHECK_STATUS(keyward_info(engine, NULL, sizeof *info), KEYWARD_E_NULL);
    memset(space, 0xAA, sizeof space);
    CHECK_STATUS(keyward_info(engine, info, 0), KEYWARD_E_STRUCT_SIZE);
    CHECK_STATUS(keyward_info(engine, info, sizeof(void *)), KEYWARD_E_STRUCT_SIZE);
    CHECK_STATUS(keyward_info(engine, info, (size_t)-8), KEYWARD_E_STRUCT_SIZE);
    CHECK(all_bytes_are(space, sizeof space, 0xAA));
    CHECK_STATUS(keyward_info(NULL, info, sizeof *info), KEYWARD_E_NULL);
    CHECK(all_bytes_are(info, sizeof *info, 0));
    memset(space, 0xAA, sizeof space);
    CHECK_STATUS(keyward_info(engine, info, 24), KEYWARD_OK);
    CHECK(info->generation == 2 && all_bytes_are(space + 24, sizeof space - 24, 0xAA));
    CHECK_STATUS(keyward_info(engine, info, sizeof *info + 32), KEYWARD_OK);
    CHECK(all_bytes_are(space + sizeof *info, 32, 0) && all_bytes_are(space + sizeof *info + 32, 32, 0xAA));

    CHECK_STATUS(keyward_release(engine), KEYWARD_OK);
    remove(live);
    free(live);
    free(content);
}

static void count(void)
{
    keyward_engine *engine = open_engine(directory, "keys.kwd", 0);
    keyward_request request = request_of(NULL, 0);
    keyward_verdict verdict;
    uint64_t counts[40];

    CHECK_STATUS(keyward_verify(engine, &request, sizeof request, &verdict, sizeof verdict), KEYWARD_OK);
    memset(counts, 0xAA, sizeof counts);
    CHECK_STATUS(keyward_counts(engine, counts, 40), KEYWARD_OK);
    CHECK(counts[KEYWARD_REASON_MISSING_CREDENTIAL] == 1 && counts[KEYWARD_REASON_OK] == 0 && counts[39] == 0);
    CHECK_STATUS(keyward_counts(engine, counts, 1), KEYWARD_OK);
    CHECK_STATUS(keyward_counts(engine, NULL, 0), KEYWARD_OK);
    CHECK_STATUS(keyward_counts(engine, NULL, 3), KEYWARD_E_LENGTH);
    CHECK_STATUS(keyward_counts(engine, (uint64_t *)((uintptr_t)counts + 1), 3), KEYWARD_E_ALIGNMENT);
    memset(counts, 0xAA, sizeof counts);
    CHECK_STATUS(keyward_counts(NULL, counts, 40), KEYWARD_E_NULL);
    CHECK(all_bytes_are(counts, sizeof counts, 0));
    CHECK_STATUS(keyward_release(engine), KEYWARD_OK);
}

/* Two engines count in one file, and one that is none is refused. */
static void shared_state(void)
{
    char *state = strdup(file_in(directory, "lifecycle.kws"));
    keyward_request request = request_of(NULL, 0);
    keyward_engine *engines[2];
    keyward_options options;
    keyward_engine_info info;
    keyward_verdict verdict;
    uint64_t counts[32];
    size_t at;

    remove(state);
    memset(&options, 0, sizeof options);
    options.state_path = bytes_of(state);
    options.state_slots = 1000;
    for (at = 0; at < 2; ++at) {
        CHECK_STATUS(keyward_open(path_of("keys.kwd"), path_of("keyring.toml"), &options, sizeof options,
                                  &engines[at], NULL, 0),
                     KEYWARD_OK);
        CHECK_STATUS(keyward_verify(engines[at], &request, sizeof request, &verdict, sizeof verdict), KEYWARD_OK);
    }
    for (at = 0; at < 2; ++at) {
        CHECK_STATUS(keyward_counts(engines[at], counts, 32), KEYWARD_OK);
        CHECK(counts[KEYWARD_REASON_MISSING_CREDENTIAL] == 2);
        CHECK_STATUS(keyward_info(engines[at], &info, sizeof info), KEYWARD_OK);
        CHECK((info.flags & KEYWARD_INFO_STATE_SHARED) != 0 && (info.flags & KEYWARD_INFO_STATE_FAILED) == 0);
        CHECK(info.state_created > 1700000000 && info.state_displaced == 0 && info.limiter_slots >= 1000);
        CHECK_STATUS(keyward_release(engines[at]), KEYWARD_OK);
    }
    remove(state);

    options.state_path = path_of("keyring.toml");
    CHECK_STATUS(failing_open(path_of("keys.kwd"), path_of("keyring.toml"), &options, sizeof options),
                 KEYWARD_E_STATE);
    options.flags = KEYWARD_OPEN_LATER;
    CHECK_STATUS(keyward_open(path_of("keys.kwd"), path_of("keyring.toml"), &options, sizeof options, &engines[0],
                              NULL, 0),
                 KEYWARD_OK);
    CHECK_STATUS(keyward_info(engines[0], &info, sizeof info), KEYWARD_OK);
    CHECK((info.flags & KEYWARD_INFO_STATE_FAILED) != 0 && strstr(info.last_error_message, "state file") != NULL);
    CHECK_STATUS(keyward_release(engines[0]), KEYWARD_OK);
    options.flags = KEYWARD_STATE_INHERITED;
    CHECK_STATUS(failing_open(path_of("keys.kwd"), path_of("keyring.toml"), &options, sizeof options),
                 KEYWARD_E_VALUE);
    options.state_path = bytes_of(NULL);
    options.state_slots = (uint64_t)1 << 40;
    CHECK_STATUS(failing_open(path_of("keys.kwd"), path_of("keyring.toml"), &options, sizeof options),
                 KEYWARD_E_VALUE);
    options.state_slots = 1000;
    CHECK_STATUS(keyward_open(path_of("keys.kwd"), path_of("keyring.toml"), &options, sizeof options, &engines[0],
                              NULL, 0),
                 KEYWARD_OK);
    CHECK_STATUS(keyward_info(engines[0], &info, sizeof info), KEYWARD_OK);
    CHECK((info.flags & KEYWARD_INFO_STATE_SHARED) != 0);
    CHECK_STATUS(keyward_release(engines[0]), KEYWARD_OK);
    free(state);
}

static void handles(void)
{
    /* Memory that looks like anything but an engine. */
    static uint64_t nothing[4096];
    keyward_engine *wrong = (keyward_engine *)(void *)nothing;
    keyward_engine *crooked = (keyward_engine *)((uintptr_t)nothing + 3);
    keyward_engine *engine = open_engine(directory, "keys.kwd", 0);
    keyward_request request = request_of(NULL, 0);
    keyward_engine_info info;
    keyward_verdict verdict;
    keyward_response response;
    keyward_error error;
    uint64_t counts[2];
    uint32_t changed;
    char text[KEYWARD_TOKEN_SIZE];

    memset(nothing, 0x5A, sizeof nothing);
    memset(&verdict, 0, sizeof verdict);
    CHECK_STATUS(keyward_retain(NULL), KEYWARD_E_NULL);
    CHECK_STATUS(keyward_retain(wrong), KEYWARD_E_HANDLE);
    CHECK_STATUS(keyward_retain(crooked), KEYWARD_E_ALIGNMENT);
    CHECK_STATUS(keyward_release(NULL), KEYWARD_OK);
    CHECK_STATUS(keyward_release(wrong), KEYWARD_E_HANDLE);
    CHECK_STATUS(keyward_release(crooked), KEYWARD_E_ALIGNMENT);
    CHECK_STATUS(keyward_reload(wrong, &changed, &error, sizeof error), KEYWARD_E_HANDLE);
    CHECK_STATUS(keyward_replace_bytes(wrong, bytes_of(""), &changed, &error, sizeof error), KEYWARD_E_HANDLE);
    CHECK_STATUS(keyward_check_pages(wrong, &error, sizeof error), KEYWARD_E_HANDLE);
    CHECK_STATUS(keyward_info(wrong, &info, sizeof info), KEYWARD_E_HANDLE);
    CHECK_STATUS(keyward_counts(wrong, counts, 2), KEYWARD_E_HANDLE);
    CHECK_STATUS(keyward_verify(wrong, &request, sizeof request, &verdict, sizeof verdict), KEYWARD_E_HANDLE);
    CHECK_STATUS(keyward_verify(crooked, &request, sizeof request, &verdict, sizeof verdict), KEYWARD_E_ALIGNMENT);
    CHECK_STATUS(keyward_verify_key(wrong, bytes_of("k"), &request, sizeof request, &verdict, sizeof verdict),
                 KEYWARD_E_HANDLE);
    CHECK_STATUS(keyward_answer(wrong, request.realm, &verdict, sizeof verdict, &response, sizeof response,
                                (uint8_t *)text, sizeof text, NULL),
                 KEYWARD_E_HANDLE);
    CHECK_STATUS(keyward_issue_token(wrong, &request, sizeof request, NULL, 0, &verdict, sizeof verdict, text,
                                     sizeof text, NULL, &error, sizeof error),
                 KEYWARD_E_HANDLE);
    CHECK_STATUS(keyward_check_realm(wrong, request.realm), KEYWARD_E_HANDLE);
    CHECK_STATUS(keyward_check_environment(wrong, request.realm, bytes_of("live")), KEYWARD_E_HANDLE);
    CHECK_STATUS(keyward_credential_header(wrong, request.realm, 0, NULL, text, sizeof text, NULL),
                 KEYWARD_E_HANDLE);

    /* Two holders: the first release frees nothing. */
    CHECK_STATUS(keyward_retain(engine), KEYWARD_OK);
    CHECK_STATUS(keyward_release(engine), KEYWARD_OK);
    CHECK_STATUS(keyward_check_realm(engine, bytes_of("shop")), KEYWARD_OK);
    CHECK_STATUS(keyward_release(engine), KEYWARD_OK);
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: lifecycle FIXTURE\n");
        return 2;
    }
    directory = argv[1];
    open_with_bad_arguments();
    open_with_options();
    open_from_memory();
    reload_and_info();
    count();
    shared_state();
    handles();
    return finish("lifecycle");
}
