/*
 * Takes new generations, in each worker.
 *
 * A timer asks, a thread reads: opening, checking and unmapping a snapshot
 * takes as long as it takes, and no request waits for it. The thread is the
 * module's own, because a thread pool of nginx's may be busy with slow disks,
 * and the default one has 32 threads. It logs nothing and touches nothing of
 * nginx's; what it found is picked up by the next tick of the timer.
 */

#include "ngx_http_keyward.h"

#include <pthread.h>


struct ngx_http_keyward_follower_s {
    pthread_t        thread;
    pthread_mutex_t  mutex;
    pthread_cond_t   cond;

    ngx_event_t      timer;
    ngx_connection_t connection;    /* nginx's debug log wants one */

    /* under the mutex */
    unsigned         asked:1;
    unsigned         busy:1;
    unsigned         found:1;
    unsigned         stop:1;
};


static void ngx_http_keyward_read(ngx_http_keyward_engine_t *engine,
    keyward_engine_info *info);
static void ngx_http_keyward_adopt(ngx_http_keyward_engine_t *engine,
    keyward_engine_info *info, ngx_log_t *log);
static void ngx_http_keyward_tick(ngx_event_t *event);
static void *ngx_http_keyward_follow(void *data);
static ngx_int_t ngx_http_keyward_start(ngx_http_keyward_main_conf_t *kmcf,
    ngx_log_t *log);


ngx_int_t
ngx_http_keyward_init_process(ngx_cycle_t *cycle)
{
    ngx_uint_t                      i;
    keyward_engine_info             info;
    ngx_http_keyward_engine_t     **engines;
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
     * A worker that is started later, in place of one that died, has the
     * generation of the master's start. It takes no request before it has
     * looked at the file.
     */

    for (i = 0; i < kmcf->engines.nelts; i++) {
        engines[i]->floor = engines[i]->shared->generation;

        ngx_http_keyward_read(engines[i], &info);
        ngx_http_keyward_adopt(engines[i], &info, cycle->log);
    }

    return ngx_http_keyward_start(kmcf, cycle->log);
}


static ngx_int_t
ngx_http_keyward_start(ngx_http_keyward_main_conf_t *kmcf, ngx_log_t *log)
{
    int                           err;
    sigset_t                      all, before;
    ngx_http_keyward_follower_t  *follower;

    follower = ngx_pcalloc(ngx_cycle->pool,
                           sizeof(ngx_http_keyward_follower_t));
    if (follower == NULL) {
        return NGX_ERROR;
    }

    kmcf->follower = follower;

    follower->connection.fd = (ngx_socket_t) -1;
    follower->connection.data = kmcf;

    follower->timer.handler = ngx_http_keyward_tick;
    follower->timer.data = &follower->connection;
    follower->timer.log = log;

    /* a worker that shuts down does not wait for it */
    follower->timer.cancelable = 1;

    err = pthread_mutex_init(&follower->mutex, NULL);

    if (err == 0) {
        err = pthread_cond_init(&follower->cond, NULL);
    }

    if (err) {
        ngx_log_error(NGX_LOG_EMERG, log, err,
                      "keyward: no mutex for the thread that follows");
        return NGX_ERROR;
    }

    /* signals are for the event loop */

    sigfillset(&all);

    err = pthread_sigmask(SIG_BLOCK, &all, &before);

    if (err == 0) {
        err = pthread_create(&follower->thread, NULL, ngx_http_keyward_follow,
                             kmcf);

        (void) pthread_sigmask(SIG_SETMASK, &before, NULL);
    }

    if (err) {
        ngx_log_error(NGX_LOG_EMERG, log, err,
                      "keyward: no thread that follows new generations");
        kmcf->follower = NULL;
        return NGX_ERROR;
    }

    ngx_add_timer(&follower->timer, kmcf->reload);

    return NGX_OK;
}


void
ngx_http_keyward_exit_process(ngx_cycle_t *cycle)
{
    ngx_http_keyward_follower_t   *follower;
    ngx_http_keyward_main_conf_t  *kmcf;

    kmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_keyward_module);

    if (kmcf == NULL || kmcf->follower == NULL) {
        return;
    }

    follower = kmcf->follower;

    (void) pthread_mutex_lock(&follower->mutex);
    follower->stop = 1;
    (void) pthread_cond_signal(&follower->cond);
    (void) pthread_mutex_unlock(&follower->mutex);

    /* the engines go with the cycle's pool, so the thread goes before */

    (void) pthread_join(follower->thread, NULL);

    (void) pthread_cond_destroy(&follower->cond);
    (void) pthread_mutex_destroy(&follower->mutex);

    if (follower->timer.timer_set) {
        ngx_del_timer(&follower->timer);
    }

    kmcf->follower = NULL;
}


static void *
ngx_http_keyward_follow(void *data)
{
    ngx_http_keyward_main_conf_t  *kmcf = data;

    ngx_uint_t                     i;
    keyward_engine_info            info;
    ngx_http_keyward_engine_t    **engines;
    ngx_http_keyward_follower_t   *follower;

    follower = kmcf->follower;
    engines = kmcf->engines.elts;

    (void) pthread_mutex_lock(&follower->mutex);

    while (!follower->stop) {

        if (!follower->asked) {
            (void) pthread_cond_wait(&follower->cond, &follower->mutex);
            continue;
        }

        follower->asked = 0;
        follower->busy = 1;

        for (i = 0; i < kmcf->engines.nelts && !follower->stop; i++) {

            (void) pthread_mutex_unlock(&follower->mutex);

            ngx_http_keyward_read(engines[i], &info);

            (void) pthread_mutex_lock(&follower->mutex);

            engines[i]->found = info;
        }

        follower->busy = 0;
        follower->found = 1;
    }

    (void) pthread_mutex_unlock(&follower->mutex);

    return NULL;
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
    ngx_uint_t                      i;
    ngx_connection_t               *c;
    ngx_http_keyward_engine_t     **engines;
    ngx_http_keyward_follower_t    *follower;
    ngx_http_keyward_main_conf_t   *kmcf;

    c = event->data;
    kmcf = c->data;
    follower = kmcf->follower;
    engines = kmcf->engines.elts;

    (void) pthread_mutex_lock(&follower->mutex);

    if (follower->found) {
        follower->found = 0;

        for (i = 0; i < kmcf->engines.nelts; i++) {
            ngx_http_keyward_adopt(engines[i], &engines[i]->found, event->log);
        }
    }

    if (!follower->busy && !follower->asked) {
        follower->asked = 1;
        (void) pthread_cond_signal(&follower->cond);
    }

    (void) pthread_mutex_unlock(&follower->mutex);

    ngx_add_timer(event, kmcf->reload);
}


/* In the event loop: says what changed, once. */

static void
ngx_http_keyward_adopt(ngx_http_keyward_engine_t *engine,
    keyward_engine_info *info, ngx_log_t *log)
{
    keyward_engine_info  *known;

    known = &engine->info;

    if (info->flags == 0) {
        return;
    }

    if (info->generation != known->generation) {
        ngx_log_error(NGX_LOG_NOTICE, log, 0,
                      "keyward: generation %uL of \"%V\" has taken over",
                      info->generation, &engine->snapshot.value);
    }

    if (info->last_error
        && (info->last_error_message_len != known->last_error_message_len
            || ngx_memcmp(info->last_error_message, known->last_error_message,
                          info->last_error_message_len)
               != 0))
    {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "keyward: going on with generation %uL of \"%V\": %*s",
                      info->generation, &engine->snapshot.value,
                      (size_t) info->last_error_message_len,
                      info->last_error_message);
    }

    if (known->last_error && info->last_error == 0
        && info->generation == known->generation)
    {
        ngx_log_error(NGX_LOG_NOTICE, log, 0,
                      "keyward: \"%V\" is good again, at generation %uL",
                      &engine->snapshot.value, info->generation);
    }

    *known = *info;

    /*
     * With a generation that is older than what others had decided from before
     * this worker was there, keys that they refused would come in again.
     */

    engine->stale = (info->generation < engine->floor);
}
