/*
 * Sends the keys of a file in rotation over connections that are kept alive, one request at a time on each.
 *
 *   load CONNECTIONS KEYS
 *
 * It takes turns from its standard input, each a line `PORT SECONDS`, and answers each with a line. A turn goes on with
 * the keys where the last one stopped, so that short turns come to all of them as well.
 *
 * It never sleeps. A client that does has to be woken by whoever answers it, and the processor time of that is the
 * server's: the slower a server is, the more often it pays it. What is printed is JSON.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define LONGEST 1024
#define EVENTS 64
#define LATEST 1000000 /* microseconds; whatever is later counts as this late */

struct connection {
    int socket;
    size_t have, want;
    double asked;
};

static char *requests;
static size_t *starts, count, next_request;
static uint64_t waits[LATEST + 1];

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void *larger(void *memory, size_t size)
{
    memory = realloc(memory, size);
    if (memory == NULL) fail("realloc");
    return memory;
}

/* Makes the requests, one behind the other. */
static void read_keys(const char *path)
{
    static const char form[] = "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer %s\r\n\r\n";
    char key[256];
    size_t room = 0, used = 0, places = 0;
    FILE *file = fopen(path, "r");
    if (file == NULL) fail(path);
    while (fgets(key, sizeof(key), file) != NULL) {
        key[strcspn(key, "\n")] = '\0';
        if (room - used < LONGEST) requests = larger(requests, room = 2 * room + 16 * LONGEST);
        if (places < count + 2) starts = larger(starts, (places = 2 * places + 64) * sizeof(*starts));
        starts[count++] = used;
        used += (size_t)snprintf(requests + used, room - used, form, key);
        starts[count] = used;
    }
    fclose(file);
    if (count == 0) {
        fprintf(stderr, "%s: no key\n", path);
        exit(1);
    }
}

static void ask(struct connection *connection)
{
    size_t at = next_request++ % count, length = starts[at + 1] - starts[at];
    connection->have = 0;
    connection->asked = now();
    if (send(connection->socket, requests + starts[at], length, MSG_NOSIGNAL) != (ssize_t)length) fail("send");
}

/* Reads what there is of an answer: 1 where it is whole. The status and the length stand in its first packet. */
static int read_answer(struct connection *connection, uint64_t *refused)
{
    char answer[LONGEST];
    ssize_t got = recv(connection->socket, answer, sizeof(answer), 0);
    if (got < 0 && errno == EAGAIN) return 0;
    if (got <= 0) fail("recv");
    if (connection->have == 0) {
        static const char field[] = "Content-Length: ";
        char *end = memmem(answer, (size_t)got, "\r\n\r\n", 4), *length;
        if (end == NULL) fail("no head of an answer in one packet");
        length = memmem(answer, (size_t)(end - answer), field, sizeof(field) - 1);
        if (length == NULL) fail("no length of an answer");
        connection->want = (size_t)(end + 4 - answer) + (size_t)atol(length + sizeof(field) - 1);
        *refused += memcmp(answer, "HTTP/1.1 200", 12) != 0;
    }
    connection->have += (size_t)got;
    return connection->have >= connection->want;
}

static unsigned long quantile(uint64_t answers, double share)
{
    uint64_t seen = 0;
    unsigned long at = 0;
    while (at < LATEST && (double)(seen += waits[at]) <= (double)answers * share) at++;
    return at;
}

/* One turn at the server on that port, and a line about it. */
static void turn(struct connection *all, int connections, int port, double seconds)
{
    uint64_t answers = 0, refused = 0;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    double start, time;
    int poll = epoll_create1(0);

    if (poll < 0) fail("epoll_create1");
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    memset(waits, 0, sizeof(waits));
    for (int at = 0; at < connections; at++) {
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[at]};
        int one = 1, socket_of = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(socket_of, (struct sockaddr *)&address, sizeof(address)) != 0) fail("connect");
        if (setsockopt(socket_of, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) != 0) fail("setsockopt");
        if (epoll_ctl(poll, EPOLL_CTL_ADD, socket_of, &event) != 0) fail("epoll_ctl");
        all[at].socket = socket_of;
    }

    start = now();
    for (int at = 0; at < connections; at++) ask(&all[at]);
    do {
        struct epoll_event events[EVENTS];
        int ready = epoll_wait(poll, events, EVENTS, 0);
        time = now();
        for (int at = 0; at < ready; at++) {
            struct connection *connection = events[at].data.ptr;
            if (read_answer(connection, &refused)) {
                double waited = (time - connection->asked) * 1e6;
                waits[waited < 0 ? 0 : waited < LATEST ? (size_t)waited : LATEST]++;
                answers++;
                ask(connection);
            }
        }
    } while (time - start < seconds);

    for (int at = 0; at < connections; at++) close(all[at].socket);
    close(poll);
    printf("{\"requests\":%llu,\"seconds\":%.6f,\"p50_us\":%lu,\"p99_us\":%lu,\"refused\":%llu}\n",
           (unsigned long long)answers, time - start, quantile(answers, 0.5), quantile(answers, 0.99),
           (unsigned long long)refused);
    fflush(stdout);
}

int main(int argc, char **argv)
{
    struct connection *all;
    int connections, port;
    double seconds;

    if (argc != 3 || (connections = atoi(argv[1])) <= 0) {
        fprintf(stderr, "load CONNECTIONS KEYS\n");
        return 2;
    }
    read_keys(argv[2]);
    all = calloc((size_t)connections, sizeof(*all));
    if (all == NULL) fail("connections");
    while (scanf("%d %lf", &port, &seconds) == 2) turn(all, connections, port, seconds);
    return 0;
}
