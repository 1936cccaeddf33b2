/*
 * An engine that was opened before a fork works in the parent and in every child: for itself, also where
 * other threads were verifying when the fork came.
 *
 *   forks FIXTURE
 */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <pthread.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILDREN 8

static keyward_engine *engine;
static pthread_mutex_t stop_lock = PTHREAD_MUTEX_INITIALIZER;
static int stop = 0;

static uint32_t reason_of(const char *authorization, uint64_t *generation)
{
    keyward_header header = header_of("Authorization", authorization);
    keyward_request request = request_of(&header, 1);
    keyward_verdict verdict;
    CHECK_STATUS(keyward_verify(engine, &request, sizeof request, &verdict, sizeof verdict), KEYWARD_OK);
    *generation = verdict.generation;
    return verdict.reason;
}

static void *verify(void *argument)
{
    uint64_t generation;
    int stopped = 0;
    (void)argument;
    while (!stopped) {
        (void)reason_of("Bearer sk_live_0000000000000001", &generation);
        pthread_mutex_lock(&stop_lock);
        stopped = stop;
        pthread_mutex_unlock(&stop_lock);
    }
    return NULL;
}

static void replace(const char *directory, const char *with)
{
    char *next = strdup(file_in(directory, "forks.kwd.new"));
    remove(next);
    CHECK(link(file_in(directory, with), next) == 0);
    CHECK(rename(next, file_in(directory, "forks.kwd")) == 0);
    free(next);
}

/* What a child finds: the parent's generation, then its own reload, and nothing of the other children. */
static int child(void)
{
    uint64_t generation = 0;
    uint32_t changed = 0;
    failures = 0;
    CHECK(reason_of("Bearer sk_live_0000000000000001", &generation) == KEYWARD_REASON_OK && generation == 1);
    CHECK(reason_of("Bearer sk_live_0000000000000002", &generation) == KEYWARD_REASON_OK);
    CHECK_STATUS(keyward_reload(engine, &changed, NULL, 0), KEYWARD_OK);
    CHECK(changed == 1);
    CHECK(reason_of("Bearer sk_live_0000000000000002", &generation) == KEYWARD_REASON_REVOKED && generation == 2);
    CHECK_STATUS(keyward_release(engine), KEYWARD_OK);
    return failures;
}

static void fork_children(void)
{
    pid_t children[CHILDREN];
    size_t at;
    for (at = 0; at < CHILDREN; ++at) {
        children[at] = fork();
        if (children[at] == 0)
            _exit(child());
        CHECK(children[at] > 0);
    }
    for (at = 0; at < CHILDREN; ++at) {
        int status = -1;
        CHECK(waitpid(children[at], &status, 0) == children[at]);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
}

int main(int argc, char **argv)
{
    pthread_t threads[4];
    uint64_t generation = 0;
    size_t at;

    if (argc != 2) {
        fprintf(stderr, "usage: forks FIXTURE\n");
        return 2;
    }
    remove(file_in(argv[1], "forks.kwd"));
    CHECK(link(file_in(argv[1], "keys.kwd"), file_in(argv[1], "forks.kwd")) == 0);
    engine = open_engine(argv[1], "forks.kwd", 0);
    replace(argv[1], "next.kwd");
    fork_children();

    for (at = 0; at < 4; ++at)
        CHECK(pthread_create(&threads[at], NULL, verify, NULL) == 0);
    fork_children();
    pthread_mutex_lock(&stop_lock);
    stop = 1;
    pthread_mutex_unlock(&stop_lock);
    for (at = 0; at < 4; ++at)
        CHECK(pthread_join(threads[at], NULL) == 0);

    /* The parent went on with its own. */
    CHECK(reason_of("Bearer sk_live_0000000000000002", &generation) == KEYWARD_REASON_OK && generation == 1);
    CHECK_STATUS(keyward_reload(engine, NULL, NULL, 0), KEYWARD_OK);
    CHECK(reason_of("Bearer sk_live_0000000000000002", &generation) == KEYWARD_REASON_REVOKED && generation == 2);
    CHECK_STATUS(keyward_release(engine), KEYWARD_OK);
    remove(file_in(argv[1], "forks.kwd"));
    return finish("forks");
}
