/*
 * Sixteen threads verify while the snapshot is replaced under them: every verdict is that of the generation
 * that it names.
 *
 *   threads FIXTURE MILLISECONDS
 *
 * It goes on for at least that long, and until each thread has seen both generations: valgrind runs one thread at a
 * time and promises none of them a turn.
 */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#define THREADS 16
#define PATIENCE 120 /* seconds in which every thread has a turn, on any machine */

typedef struct worker {
    pthread_t thread;
    keyward_engine *engine;
    unsigned long verdicts;
    unsigned long wrong;
    int seen[3]; /* generations that a verdict named; `progress` guards it */
} worker;

/* Guards `stop`, and what each worker has seen. */
static pthread_mutex_t progress = PTHREAD_MUTEX_INITIALIZER;
static int stop = 0;

/* Writes down what a worker has seen meanwhile; tells whether it is to end. */
static int tell(worker *self, const int *seen)
{
    int stopped;
    pthread_mutex_lock(&progress);
    self->seen[1] |= seen[1];
    self->seen[2] |= seen[2];
    stopped = stop;
    pthread_mutex_unlock(&progress);
    return stopped;
}

static int has_each_seen_both(const worker *workers)
{
    int both = 1;
    size_t at;
    pthread_mutex_lock(&progress);
    for (at = 0; at < THREADS; ++at)
        both &= workers[at].seen[1] & workers[at].seen[2];
    pthread_mutex_unlock(&progress);
    return both;
}

/* The reader may always in; the key called `turning` is revoked in every second generation. */
static void *verify(void *argument)
{
    worker *self = (worker *)argument;
    keyward_header headers[2];
    keyward_request request;
    keyward_verdict verdict;
    int seen[3] = {0, 0, 0};
    int turn;

    keyward_retain(self->engine);
    headers[0] = header_of("Authorization", "Bearer sk_live_0000000000000001");
    headers[1] = header_of("Authorization", "Bearer sk_live_0000000000000002");
    while (!tell(self, seen)) {
        for (turn = 0; turn < 100; ++turn) {
            uint32_t expected = KEYWARD_REASON_OK;
            request = request_of(&headers[turn % 2], 1);
            if (keyward_verify(self->engine, &request, sizeof request, &verdict, sizeof verdict) != KEYWARD_OK)
                ++self->wrong;
            if (turn % 2 == 1 && verdict.generation == 2)
                expected = KEYWARD_REASON_REVOKED;
            if (verdict.reason != expected || (verdict.decision == KEYWARD_ALLOW) != (expected == KEYWARD_REASON_OK))
                ++self->wrong;
            if (verdict.generation == 1 || verdict.generation == 2)
                seen[verdict.generation] = 1;
            else
                ++self->wrong;
            ++self->verdicts;
        }
    }
    keyward_release(self->engine);
    return NULL;
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    worker workers[THREADS];
    keyward_engine *engine;
    keyward_engine_info info;
    char *live, *next;
    unsigned long verdicts = 0, reloads = 0;
    double end;
    size_t at;

    if (argc != 3) {
        fprintf(stderr, "usage: threads FIXTURE MILLISECONDS\n");
        return 2;
    }
    live = strdup(file_in(argv[1], "threads.kwd"));
    next = strdup(file_in(argv[1], "threads.kwd.new"));
    remove(live);
    CHECK(link(file_in(argv[1], "keys.kwd"), live) == 0);
    engine = open_engine(argv[1], "threads.kwd", KEYWARD_GOING_BACK);
    memset(workers, 0, sizeof workers);
    for (at = 0; at < THREADS; ++at) {
        workers[at].engine = engine;
        CHECK(pthread_create(&workers[at].thread, NULL, verify, &workers[at]) == 0);
    }
    end = now() + atoi(argv[2]) / 1000.0;
    while (now() < end || (now() < end + PATIENCE && !has_each_seen_both(workers))) {
        uint32_t changed;
        keyward_error error;
        remove(next);
        CHECK(link(file_in(argv[1], reloads % 2 == 0 ? "next.kwd" : "keys.kwd"), next) == 0);
        CHECK(rename(next, live) == 0);
        CHECK_STATUS(keyward_reload(engine, &changed, &error, sizeof error), KEYWARD_OK);
        CHECK(changed == 1);
        ++reloads;
    }
    CHECK(has_each_seen_both(workers));
    pthread_mutex_lock(&progress);
    stop = 1;
    pthread_mutex_unlock(&progress);
    for (at = 0; at < THREADS; ++at) {
        CHECK(pthread_join(workers[at].thread, NULL) == 0);
        CHECK(workers[at].wrong == 0);
        verdicts += workers[at].verdicts;
    }
    /* Whatever was replaced is gone once nobody holds it. */
    CHECK_STATUS(keyward_reload(engine, NULL, NULL, 0), KEYWARD_OK);
    CHECK_STATUS(keyward_info(engine, &info, sizeof info), KEYWARD_OK);
    CHECK(info.retired == 0 && info.last_error == 0);
    CHECK_STATUS(keyward_release(engine), KEYWARD_OK);
    remove(live);
    free(live);
    free(next);
    printf("threads: %lu verdicts, %lu reloads\n", verdicts, reloads);
    return finish("threads");
}
