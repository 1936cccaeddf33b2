/*
 * The master follows new generations as well.
 *
 * It decides nothing, but workers are forked from it: one that is started in
 * place of another that died has then the last good generation, whatever has
 * become of the file. nginx has no hook for its master, so the thread is
 * started when the master forks its first worker, and rests while it forks.
 */

#include "ngx_http_keyward.h"

#include <pthread.h>


static void ngx_http_keyward_before_fork(void);
static void ngx_http_keyward_in_parent(void);
static void ngx_http_keyward_in_child(void);
static void ngx_http_keyward_unfollow(void *data);


/* Whose thread runs in this process; of the master's, not of a worker's. */

static ngx_http_keyward_main_conf_t  *ngx_http_keyward_followed;

static ngx_uint_t  ngx_http_keyward_watches_forks;


ngx_int_t
ngx_http_keyward_init_module(ngx_cycle_t *cycle)
{
    int                            err;
    ngx_pool_cleanup_t            *cln;
    ngx_http_keyward_main_conf_t  *kmcf;

    kmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_keyward_module);

    if (kmcf == NULL || kmcf->engines.nelts == 0 || kmcf->reload == 0) {
        return NGX_OK;
    }

    /* runs before the engines are released, and before dlclose() */

    cln = ngx_pool_cleanup_add(cycle->pool, 0);
    if (cln == NULL) {
        return NGX_ERROR;
    }

    cln->handler = ngx_http_keyward_unfollow;
    cln->data = kmcf;

    if (ngx_http_keyward_watches_forks) {
        return NGX_OK;
    }

    err = pthread_atfork(ngx_http_keyward_before_fork,
                         ngx_http_keyward_in_parent,
                         ngx_http_keyward_in_child);

    if (err) {
        ngx_log_error(NGX_LOG_EMERG, cycle->log, err,
                      "pthread_atfork() failed");
        return NGX_ERROR;
    }

    ngx_http_keyward_watches_forks = 1;

    return NGX_OK;
}


static void
ngx_http_keyward_before_fork(void)
{
    if (ngx_http_keyward_followed) {
        ngx_http_keyward_pause(ngx_http_keyward_followed);
    }
}


static void
ngx_http_keyward_in_parent(void)
{
    ngx_core_conf_t               *ccf;
    ngx_http_keyward_main_conf_t  *kmcf;

    if (ngx_http_keyward_followed) {
        ngx_http_keyward_resume(ngx_http_keyward_followed);
        return;
    }

    if (ngx_process != NGX_PROCESS_MASTER || ngx_cycle->conf_ctx == NULL) {
        return;
    }

    /* the process that is about to become a daemon is not the master yet */

    ccf = (ngx_core_conf_t *) ngx_get_conf(ngx_cycle->conf_ctx,
                                           ngx_core_module);

    if (ccf->daemon && !ngx_daemonized) {
        return;
    }

    kmcf = ngx_http_cycle_get_module_main_conf(ngx_cycle,
                                               ngx_http_keyward_module);

    if (kmcf == NULL || kmcf->engines.nelts == 0 || kmcf->reload == 0) {
        return;
    }

    /* without it workers are right as well, but may have to wait for a file */

    if (ngx_http_keyward_start(kmcf, 1) == NGX_OK) {
        ngx_http_keyward_followed = kmcf;
    }
}


/* The thread is not there in the child; its own will be another. */

static void
ngx_http_keyward_in_child(void)
{
    if (ngx_http_keyward_followed) {
        ngx_http_keyward_forsake(ngx_http_keyward_followed);
        ngx_http_keyward_followed = NULL;
    }
}


static void
ngx_http_keyward_unfollow(void *data)
{
    ngx_http_keyward_main_conf_t  *kmcf = data;

    if (ngx_http_keyward_followed == kmcf) {
        ngx_http_keyward_followed = NULL;
        ngx_http_keyward_stop(kmcf);
    }
}
