/*
 * Takes new generations, in each worker and in the master.
 *
 * A thread reads: opening, checking and unmapping a snapshot takes as long as
 * it takes, and no request waits for it. It logs nothing and touches nothing of
 * nginx's. It is the module's own, because a thread pool of nginx's may be busy
 * with slow disks, and the default one has 32 threads.
 *
 * In the master one thread stays, and asks itself. In a worker a timer starts
 * one that looks once and ends, and picks up what it found. While a process has
 * a second thread, be it asleep, each system call on a descriptor costs more:
 * a tenth of a microsecond in all for a request of 6 to 9. Starting a thread
 * ten times a second takes less than a thousandth of a processor.
 */

#include "ngx_http_keyward.h"

#include <pthread.h>


struct ngx_http_keyward_follower_s {
    pthread_t         thread;

    /* there is one, or one that has ended and was not waited for */
    unsigned          started:1;

    pthread_mutex_t   mutex;
    pthread_cond_t    cond;

    ngx_event_t       timer;
    ngx_connection_t  connection;    /* nginx's debug log wants one */

    ngx_uint_t        alone;

    /* under the mutex */
    unsigned          ready:1;
    unsigned          busy:1;
    unsigned          found:1;
    unsigned          stop:1;
};


static void ngx_http_keyward_read(ngx_http_keyward_engine_t *engine,
    keyward_engine_info *info);
static void ngx_http_keyward_leave(void *data);
static int ngx_http_keyward_start_thread(ngx_http_keyward_main_conf_t *kmcf);
static void ngx_http_keyward_tick(ngx_event_t *event);
static ngx_uint_t ngx_http_keyward_pick_up(ngx_http_keyward_main_conf_t *kmcf,
    ngx_log_t *log);
static void *ngx_http_keyward_follow(void *data);
static void ngx_http_keyward_look(ngx_http_keyward_main_conf_t *kmcf);
static ngx_uint_t ngx_http_keyward_wait(ngx_http_keyward_follower_t *follower,
    ngx_msec_t interval);
static int ngx_http_keyward_create_cond(pthread_cond_t *cond);


ngx_int_t
ngx_http_keyward_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                      i;
    ngx_pool_cleanup_t             *cln;
    keyward_engine_info             info;
    ngx_http_keyward_engine_t     **engines;
    ngx_http_keyward_follower_t    *follower;
    ngx_http_keyward_main_conf_t   *kmcf;

    if (ngx_process != NGX_PROCESS_WORKER
        && ngx_process != NGX_PROCESS_SINGLE)
    {
        return NGX_OK;
    }

    kmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_keyward_module);

    if (kmcf == NULL) {
        return NGX_OK;
    }

    ngx_http_keyward_find_used(cycle, kmcf);

    if (kmcf->engines.nelts == 0 || kmcf->reload == 0) {
        return NGX_OK;
    }

    engines = kmcf->engines.elts;

    /*
     * A worker that is started later, in place of one that died, has what the
     * master has. It takes no request before it has looked at the file itself.
     */

    for (i = 0; i < kmcf->engines.nelts; i++) {
        engines[i]->floor = engines[i]->shared->generation;

        ngx_http_keyward_read(engines[i], &info);
        ngx_http_keyward_adopt(engines[i], &info, cycle->log);
    }

    /* the engines go with the cycle's pool, so the thread goes before */

    cln = ngx_pool_cleanup_add(cycle->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    if (ngx_http_keyward_start(kmcf, 0) != NGX_OK) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_keyward_leave;
    cln->data = kmcf;

    follower = kmcf->follower;

    follower->connection.fd = (ngx_socket_t) -1;
    follower->connection.data = kmcf;

    follower->timer.handler = ngx_http_keyward_tick;
    follower->timer.data = &follower->connection;
    follower->timer.log = cycle->log;

    /* a worker that shuts down does not wait for it */
    follower->timer.cancelable = 1;

    ngx_add_timer(&follower->timer, kmcf->reload);

    return NGX_OK;
}


static void
ngx_http_keyward_leave(void *data)
{
    ngx_http_keyward_main_conf_t  *kmcf = data;

    if (kmcf->follower->timer.timer_set) {
        ngx_del_timer(&kmcf->follower->timer);
    }

    ngx_http_keyward_stop(kmcf);
}


/* Where the thread is alone, there is no timer that starts it. */

ngx_int_t
ngx_http_keyward_start(ngx_http_keyward_main_conf_t *kmcf, ngx_uint_t alone)
{
    int                           err;
    ngx_http_keyward_follower_t  *follower;

    follower = ngx_calloc(sizeof(ngx_http_keyward_follower_t), ngx_cycle->log);
    if (follower == NULL) {
        return NGX_ERROR;
    }

    follower->alone = alone;

    err = pthread_mutex_init(&follower->mutex, NULL);

    if (err) {
        goto failed;
    }

    err = ngx_http_keyward_create_cond(&follower->cond);

    if (err) {
        (void) pthread_mutex_destroy(&follower->mutex);
        goto failed;
    }

    kmcf->follower = follower;

    if (!alone) {
        return NGX_OK;
    }

    err = ngx_http_keyward_start_thread(kmcf);

    if (err) {
        (void) pthread_cond_destroy(&follower->cond);
        (void) pthread_mutex_destroy(&follower->mutex);
        goto failed;
    }

    /* a fork must not meet a thread that is just being made, with its locks */

    (void) pthread_mutex_lock(&follower->mutex);

    while (!follower->ready) {
        (void) pthread_cond_wait(&follower->cond, &follower->mutex);
    }

    (void) pthread_mutex_unlock(&follower->mutex);

    return NGX_OK;

failed:

    ngx_log_error(NGX_LOG_ALERT, ngx_cycle->log, err,
                  "keyward: no thread that follows new generations");

    kmcf->follower = NULL;
    ngx_free(follower);

    return NGX_ERROR;
}


static int
ngx_http_keyward_start_thread(ngx_http_keyward_main_conf_t *kmcf)
{
    int                           err;
    sigset_t                      all, before;
    ngx_http_keyward_follower_t  *follower;

    follower = kmcf->follower;

    /* signals are for nginx */

    sigfillset(&all);

    err = pthread_sigmask(SIG_BLOCK, &all, &before);

    if (err) {
        return err;
    }

    err = pthread_create(&follower->thread, NULL, ngx_http_keyward_follow,
                         kmcf);

    (void) pthread_sigmask(SIG_SETMASK, &before, NULL);

    if (err == 0) {
        follower->started = 1;
    }

    return err;
}


void
ngx_http_keyward_stop(ngx_http_keyward_main_conf_t *kmcf)
{
    ngx_http_keyward_follower_t  *follower;

    follower = kmcf->follower;

    (void) pthread_mutex_lock(&follower->mutex);
    follower->stop = 1;
    (void) pthread_cond_signal(&follower->cond);
    (void) pthread_mutex_unlock(&follower->mutex);

    if (follower->started) {
        (void) pthread_join(follower->thread, NULL);
    }

    (void) pthread_cond_destroy(&follower->cond);
    (void) pthread_mutex_destroy(&follower->mutex);

    kmcf->follower = NULL;
    ngx_free(follower);
}


/*
 * While it is paused, the thread is in no engine: the process can be forked,
 * and the child's engines are whole.
 */

void
ngx_http_keyward_pause(ngx_http_keyward_main_conf_t *kmcf)
{
    ngx_http_keyward_follower_t  *follower;

    follower = kmcf->follower;

    (void) pthread_mutex_lock(&follower->mutex);

    while (follower->busy) {
        (void) pthread_cond_wait(&follower->cond, &follower->mutex);
    }
}


void
ngx_http_keyward_resume(ngx_http_keyward_main_conf_t *kmcf)
{
    (void) pthread_mutex_unlock(&kmcf->follower->mutex);
}


/* In a child: there is no thread to stop, and nobody to unlock for. */

void
ngx_http_keyward_forsake(ngx_http_keyward_main_conf_t *kmcf)
{
    ngx_free(kmcf->follower);
    kmcf->follower = NULL;
}


static void *
ngx_http_keyward_follow(void *data)
{
    ngx_http_keyward_main_conf_t  *kmcf = data;

    ngx_http_keyward_follower_t   *follower;

    follower = kmcf->follower;

    (void) pthread_mutex_lock(&follower->mutex);

    follower->ready = 1;
    (void) pthread_cond_broadcast(&follower->cond);

    if (!follower->alone) {
        ngx_http_keyward_look(kmcf);
        (void) pthread_mutex_unlock(&follower->mutex);

        return NULL;
    }

    while (!follower->stop) {

        if (ngx_http_keyward_wait(follower, kmcf->reload)) {
            ngx_http_keyward_look(kmcf);
        }
    }

    (void) pthread_mutex_unlock(&follower->mutex);

    return NULL;
}


/* Under the mutex, which it gives back while it reads. */

static void
ngx_http_keyward_look(ngx_http_keyward_main_conf_t *kmcf)
{
    ngx_uint_t                     i;
    keyward_engine_info            info;
    ngx_http_keyward_engine_t    **engines;
    ngx_http_keyward_follower_t   *follower;

    follower = kmcf->follower;
    engines = kmcf->engines.elts;

    follower->busy = 1;

    for (i = 0; i < kmcf->engines.nelts && !follower->stop; i++) {

        (void) pthread_mutex_unlock(&follower->mutex);

        ngx_http_keyward_read(engines[i], &info);

        (void) pthread_mutex_lock(&follower->mutex);

        engines[i]->found = info;
    }

    follower->busy = 0;
    follower->found = 1;

    /* somebody may be waiting in a pause */

    (void) pthread_cond_broadcast(&follower->cond);
}


/* Whether the interval is over, and not a wait that was woken. */

static ngx_uint_t
ngx_http_keyward_wait(ngx_http_keyward_follower_t *follower,
    ngx_msec_t interval)
{
    struct timespec  end;

#if (NGX_HAVE_CLOCK_MONOTONIC)
    (void) clock_gettime(CLOCK_MONOTONIC, &end);
#else
    (void) clock_gettime(CLOCK_REALTIME, &end);
#endif

    end.tv_sec += interval / 1000;
    end.tv_nsec += interval % 1000 * 1000000;

    if (end.tv_nsec >= 1000000000) {
        end.tv_sec++;
        end.tv_nsec -= 1000000000;
    }

    return pthread_cond_timedwait(&follower->cond, &follower->mutex, &end)
           == NGX_ETIMEDOUT;
}


static int
ngx_http_keyward_create_cond(pthread_cond_t *cond)
{
    int                 err;
    pthread_condattr_t  attributes;

    err = pthread_condattr_init(&attributes);

    if (err) {
        return err;
    }

#if (NGX_HAVE_CLOCK_MONOTONIC)
    err = pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
#endif

    if (err == 0) {
        err = pthread_cond_init(cond, &attributes);
    }

    (void) pthread_condattr_destroy(&attributes);

    return err;
}


/* In the thread, or before there is one. */

static void
ngx_http_keyward_read(ngx_http_keyward_engine_t *engine,
    keyward_engine_info *info)
{
    uint32_t           changed;
    ngx_atomic_uint_t  generation, newest;

    /* what went wrong is in the information about the engine as well */

    (void) keyward_reload(engine->handle, &changed, NULL, 0);

    if (keyward_info(engine->handle, info, sizeof(keyward_engine_info))
        != KEYWARD_OK)
    {
        ngx_memzero(info, sizeof(keyward_engine_info));
        return;
    }

    generation = (ngx_atomic_uint_t) info->generation;

    do {
        newest = engine->shared->generation;

        if (newest >= generation) {
            return;
        }

    } while (!ngx_atomic_cmp_set(&engine->shared->generation, newest,
                                 generation));
}


static void
ngx_http_keyward_tick(ngx_event_t *event)
{
    int                            err;
    ngx_connection_t              *c;
    ngx_http_keyward_main_conf_t  *kmcf;

    c = event->data;
    kmcf = c->data;

    if (ngx_http_keyward_pick_up(kmcf, event->log)) {

        err = ngx_http_keyward_start_thread(kmcf);

        /* the next tick tries again */

        if (err) {
            ngx_log_error(NGX_LOG_ALERT, event->log, err,
                          "keyward: no thread that follows new generations");
        }
    }

    ngx_add_timer(event, kmcf->reload);
}


/* Whether there is no thread any more that is still reading. */

static ngx_uint_t
ngx_http_keyward_pick_up(ngx_http_keyward_main_conf_t *kmcf, ngx_log_t *log)
{
    ngx_uint_t                     i, found;
    ngx_http_keyward_engine_t    **engines;
    ngx_http_keyward_follower_t   *follower;

    follower = kmcf->follower;
    engines = kmcf->engines.elts;

    if (!follower->started) {
        return 1;
    }

    (void) pthread_mutex_lock(&follower->mutex);

    found = follower->found;
    follower->found = 0;

    (void) pthread_mutex_unlock(&follower->mutex);

    if (!found) {
        return 0;
    }

    /* it has nothing left to do but to end */

    (void) pthread_join(follower->thread, NULL);

    follower->started = 0;

    for (i = 0; i < kmcf->engines.nelts; i++) {
        ngx_http_keyward_adopt(engines[i], &engines[i]->found, log);
    }

    return 1;
}
