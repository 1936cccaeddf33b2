/*
 * The status in Prometheus' text format, and the numbers in it.
 */

#include "ngx_http_keyward.h"


typedef uint64_t (*ngx_http_keyward_number_pt)(ngx_http_keyward_engine_t *);


typedef struct {
    const char                  *name;
    const char                  *help;
    ngx_http_keyward_number_pt   number;
} ngx_http_keyward_gauge_t;


static uint64_t ngx_http_keyward_get_generation(ngx_http_keyward_engine_t *e);
static uint64_t ngx_http_keyward_get_max_age(ngx_http_keyward_engine_t *e);
static uint64_t ngx_http_keyward_get_keys(ngx_http_keyward_engine_t *e);
static uint64_t ngx_http_keyward_get_bytes(ngx_http_keyward_engine_t *e);
static uint64_t ngx_http_keyward_get_retired(ngx_http_keyward_engine_t *e);
static uint64_t ngx_http_keyward_get_displaced(ngx_http_keyward_engine_t *e);
static uint64_t ngx_http_keyward_get_usage_displaced(
    ngx_http_keyward_engine_t *e);
static uint64_t ngx_http_keyward_get_failed(ngx_http_keyward_engine_t *e);


static const ngx_http_keyward_gauge_t  ngx_http_keyward_gauges[] = {

    { "keyward_generation",
      "Generation of the snapshot that this worker decides from.",
      ngx_http_keyward_get_generation },

    { "keyward_usable",
      "1 where requests can be decided, 0 where they are all unavailable.",
      ngx_http_keyward_get_usable },

    { "keyward_reload_failed",
      "1 where the file was not good when it was last looked at.",
      ngx_http_keyward_get_failed },

    { "keyward_snapshot_created_timestamp_seconds",
      "When the snapshot was made.",
      ngx_http_keyward_get_created },

    { "keyward_snapshot_age_seconds",
      "How long ago the snapshot was made.",
      ngx_http_keyward_get_age },

    { "keyward_snapshot_max_age_seconds",
      "The age past which it is not used; 0: none.",
      ngx_http_keyward_get_max_age },

    { "keyward_snapshot_bytes",
      "Size of the snapshot.",
      ngx_http_keyward_get_bytes },

    { "keyward_keys",
      "Keys in the snapshot.",
      ngx_http_keyward_get_keys },

    { "keyward_retired_generations",
      "Old generations that are still in memory.",
      ngx_http_keyward_get_retired },

    { "keyward_limiter_displaced",
      "Keys whose rate was forgotten for want of room.",
      ngx_http_keyward_get_displaced },

    { "keyward_usage_displaced",
      "Keys whose usage was given up for want of room.",
      ngx_http_keyward_get_usage_displaced },

    { NULL, NULL, NULL }
};


u_char *
ngx_http_keyward_prometheus(u_char *p, u_char *last,
    ngx_http_keyward_main_conf_t *kmcf)
{
    uint64_t                          counts[NGX_HTTP_KEYWARD_REASONS];
    ngx_uint_t                        i, k, n;
    ngx_http_keyward_engine_t       **engines;
    const ngx_http_keyward_gauge_t   *gauge;

    engines = kmcf->engines.elts;

    for (gauge = ngx_http_keyward_gauges; gauge->name; gauge++) {

        p = ngx_slprintf(p, last, "# HELP %s %s\n# TYPE %s gauge\n",
                         gauge->name, gauge->help, gauge->name);

        for (i = 0; i < kmcf->engines.nelts; i++) {
            p = ngx_slprintf(p, last, "%s{snapshot=\"", gauge->name);
            p = ngx_http_keyward_escape(p, last,
                                        engines[i]->snapshot.value.data,
                                        engines[i]->snapshot.value.len);
            p = ngx_slprintf(p, last, "\"} %uL\n", gauge->number(engines[i]));
        }
    }

    p = ngx_slprintf(p, last,
                     "# HELP keyward_decisions_total Requests by reason.\n"
                     "# TYPE keyward_decisions_total counter\n");

    for (i = 0; i < kmcf->engines.nelts; i++) {

        n = ngx_http_keyward_count(engines[i], counts);

        for (k = 1; k < n; k++) {
            p = ngx_slprintf(p, last, "keyward_decisions_total{snapshot=\"");
            p = ngx_http_keyward_escape(p, last,
                                        engines[i]->snapshot.value.data,
                                        engines[i]->snapshot.value.len);
            p = ngx_slprintf(p, last, "\",reason=\"%s\"} %uL\n",
                             keyward_reason_name((uint32_t) k), counts[k]);
        }
    }

    return p;
}


static uint64_t
ngx_http_keyward_get_generation(ngx_http_keyward_engine_t *e)
{
    return e->info.generation;
}


uint64_t
ngx_http_keyward_get_usable(ngx_http_keyward_engine_t *e)
{
    return (e->info.flags & KEYWARD_INFO_LOADED)
           && !(e->info.flags & KEYWARD_INFO_DAMAGED)
           && !e->stale
           && (e->info.max_age == 0
               || ngx_http_keyward_get_age(e) <= e->info.max_age);
}


static uint64_t
ngx_http_keyward_get_failed(ngx_http_keyward_engine_t *e)
{
    return e->info.last_error != 0;
}


uint64_t
ngx_http_keyward_get_created(ngx_http_keyward_engine_t *e)
{
    return (uint64_t) e->info.created / 1000000000;
}


uint64_t
ngx_http_keyward_get_age(ngx_http_keyward_engine_t *e)
{
    uint64_t  now, created;

    now = (uint64_t) ngx_time();
    created = ngx_http_keyward_get_created(e);

    return (created && created < now) ? now - created : 0;
}


static uint64_t
ngx_http_keyward_get_max_age(ngx_http_keyward_engine_t *e)
{
    return e->info.max_age;
}


static uint64_t
ngx_http_keyward_get_keys(ngx_http_keyward_engine_t *e)
{
    return e->info.keys;
}


static uint64_t
ngx_http_keyward_get_bytes(ngx_http_keyward_engine_t *e)
{
    return e->info.bytes;
}


static uint64_t
ngx_http_keyward_get_retired(ngx_http_keyward_engine_t *e)
{
    return e->info.retired;
}


static uint64_t
ngx_http_keyward_get_displaced(ngx_http_keyward_engine_t *e)
{
    return e->info.limiter_displaced;
}


static uint64_t
ngx_http_keyward_get_usage_displaced(ngx_http_keyward_engine_t *e)
{
    return e->info.state_displaced;
}
