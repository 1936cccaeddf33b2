/*
 * The location of keyward_status: what this worker decides from, and how
 * often with which reason.
 *
 * Nothing here asks the engine what may have to wait for a reload: the
 * numbers are those of the last tick.
 */

#include "ngx_http_keyward.h"


/* Bytes of one snapshot's report besides its path and its error. */
#define NGX_HTTP_KEYWARD_REPORT  4096

/* Lines of the Prometheus format that name a snapshot. */
#define NGX_HTTP_KEYWARD_LINES  (NGX_HTTP_KEYWARD_REASONS + 16)


static ngx_uint_t ngx_http_keyward_wants_prometheus(ngx_http_request_t *r);
static size_t ngx_http_keyward_report_size(ngx_http_keyward_main_conf_t *kmcf);
static u_char *ngx_http_keyward_json(u_char *p, u_char *last,
    ngx_http_keyward_main_conf_t *kmcf);
static u_char *ngx_http_keyward_json_snapshot(u_char *p, u_char *last,
    ngx_http_keyward_engine_t *engine);


ngx_int_t
ngx_http_keyward_status(ngx_http_request_t *r)
{
    size_t                         size;
    ngx_int_t                      rc;
    ngx_buf_t                     *b;
    ngx_chain_t                    out;
    ngx_uint_t                     prometheus;
    ngx_http_keyward_main_conf_t  *kmcf;

    if (!(r->method & (NGX_HTTP_GET|NGX_HTTP_HEAD))) {
        return NGX_HTTP_NOT_ALLOWED;
    }

    rc = ngx_http_discard_request_body(r);

    if (rc != NGX_OK) {
        return rc;
    }

    kmcf = ngx_http_get_module_main_conf(r, ngx_http_keyward_module);

    prometheus = ngx_http_keyward_wants_prometheus(r);

    size = ngx_http_keyward_report_size(kmcf);

    b = ngx_create_temp_buf(r->pool, size);
    if (b == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    if (prometheus) {
        ngx_str_set(&r->headers_out.content_type, "text/plain; version=0.0.4");
        b->last = ngx_http_keyward_prometheus(b->last, b->end, kmcf);

    } else {
        ngx_str_set(&r->headers_out.content_type, "application/json");
        b->last = ngx_http_keyward_json(b->last, b->end, kmcf);
    }

    r->headers_out.content_type_len = r->headers_out.content_type.len;
    r->headers_out.content_type_lowcase = NULL;
    r->headers_out.status = NGX_HTTP_OK;
    r->headers_out.content_length_n = b->last - b->pos;

    b->last_buf = (r == r->main) ? 1 : 0;
    b->last_in_chain = 1;

    rc = ngx_http_send_header(r);

    if (rc == NGX_ERROR || rc > NGX_OK || r->header_only) {
        return rc;
    }

    out.buf = b;
    out.next = NULL;

    return ngx_http_output_filter(r, &out);
}


/*
 * What the directive says, else ?format=, else what the client accepts: a
 * scraper asks for text/plain or OpenMetrics, and for nothing of JSON.
 */

static ngx_uint_t
ngx_http_keyward_wants_prometheus(ngx_http_request_t *r)
{
    ngx_str_t                     format;
    ngx_uint_t                    i;
    ngx_list_part_t              *part;
    ngx_table_elt_t              *h;
    ngx_http_keyward_loc_conf_t  *klcf;

    klcf = ngx_http_get_module_loc_conf(r, ngx_http_keyward_module);

    if (klcf->status_format != NGX_HTTP_KEYWARD_STATUS_AUTO) {
        return klcf->status_format == NGX_HTTP_KEYWARD_STATUS_PROMETHEUS;
    }

    if (ngx_http_arg(r, (u_char *) "format", 6, &format) == NGX_OK) {
        return format.len == 10
               && ngx_strncmp(format.data, "prometheus", 10) == 0;
    }

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            if (h[i].key.len != 6
                || ngx_strncasecmp(h[i].key.data, (u_char *) "Accept", 6) != 0)
            {
                continue;
            }

            if (ngx_strlcasestrn(h[i].value.data,
                                 h[i].value.data + h[i].value.len,
                                 (u_char *) "json", 4 - 1))
            {
                return 0;
            }

            if (ngx_strlcasestrn(h[i].value.data,
                                 h[i].value.data + h[i].value.len,
                                 (u_char *) "text/plain", 10 - 1)
                || ngx_strlcasestrn(h[i].value.data,
                                    h[i].value.data + h[i].value.len,
                                    (u_char *) "openmetrics", 11 - 1))
            {
                return 1;
            }
        }
    }

    return 0;
}


static size_t
ngx_http_keyward_report_size(ngx_http_keyward_main_conf_t *kmcf)
{
    size_t                       size;
    ngx_uint_t                   i;
    ngx_http_keyward_engine_t  **engines;

    /* names and help of the gauges */

    size = NGX_HTTP_KEYWARD_REPORT;

    engines = kmcf->engines.elts;

    /* an escaped byte takes six, a line a hundred besides its path */

    for (i = 0; i < kmcf->engines.nelts; i++) {
        size += NGX_HTTP_KEYWARD_REPORT
                + 6 * sizeof(engines[i]->info.last_error_message)
                + NGX_HTTP_KEYWARD_LINES
                  * (100 + 6 * engines[i]->snapshot.value.len);
    }

    return size;
}


static u_char *
ngx_http_keyward_json(u_char *p, u_char *last,
    ngx_http_keyward_main_conf_t *kmcf)
{
    ngx_uint_t                   i;
    ngx_http_keyward_engine_t  **engines;

    p = ngx_slprintf(p, last, "{\"version\":\"%s\",\"pid\":%P,\"snapshots\":[",
                     keyward_version(), ngx_pid);

    engines = kmcf->engines.elts;

    for (i = 0; i < kmcf->engines.nelts; i++) {

        if (i) {
            p = ngx_slprintf(p, last, ",");
        }

        p = ngx_http_keyward_json_snapshot(p, last, engines[i]);
    }

    return ngx_slprintf(p, last, "]}\n");
}


static u_char *
ngx_http_keyward_json_snapshot(u_char *p, u_char *last,
    ngx_http_keyward_engine_t *engine)
{
    uint64_t              counts[NGX_HTTP_KEYWARD_REASONS];
    ngx_uint_t            i, n;
    keyward_engine_info  *info;

    info = &engine->info;

    p = ngx_slprintf(p, last, "{\"snapshot\":\"");
    p = ngx_http_keyward_escape(p, last, engine->snapshot.value.data,
                                engine->snapshot.value.len);

    p = ngx_slprintf(p, last,
                     "\",\"usable\":%s,\"generation\":%uL,"
                     "\"base_generation\":%uL,\"created\":%uL,\"age\":%uL,"
                     "\"max_age\":%uL,\"since\":%uL,\"keys\":%uL,"
                     "\"realms\":%uL,\"bytes\":%uL,\"mapped\":%s,"
                     "\"retired\":%uL,\"limiter_slots\":%uL,"
                     "\"limiter_displaced\":%uL,\"usage_displaced\":%uL,"
                     "\"error\":",
                     ngx_http_keyward_get_usable(engine) ? "true" : "false",
                     info->generation, info->base_generation,
                     ngx_http_keyward_get_created(engine),
                     ngx_http_keyward_get_age(engine), info->max_age,
                     (uint64_t) info->since / 1000000000, info->keys,
                     info->realms, info->bytes,
                     (info->flags & KEYWARD_INFO_MAPPED) ? "true" : "false",
                     info->retired, info->limiter_slots,
                     info->limiter_displaced, info->state_displaced);

    if (info->last_error) {
        p = ngx_slprintf(p, last, "{\"status\":\"%s\",\"at\":%uL,"
                         "\"message\":\"",
                         keyward_status_name(info->last_error),
                         (uint64_t) info->last_error_at / 1000000000);
        p = ngx_http_keyward_escape(p, last,
                                    (u_char *) info->last_error_message,
                                    info->last_error_message_len);
        p = ngx_slprintf(p, last, "\"}");

    } else {
        p = ngx_slprintf(p, last, "null");
    }

    p = ngx_slprintf(p, last, ",\"decisions\":{");

    n = ngx_http_keyward_count(engine, counts);

    for (i = 1; i < n; i++) {
        p = ngx_slprintf(p, last, "%s\"%s\":%uL", i > 1 ? "," : "",
                         keyward_reason_name((uint32_t) i), counts[i]);
    }

    return ngx_slprintf(p, last, "}}");
}


/* How many reasons there are, with the number that means none. */

ngx_uint_t
ngx_http_keyward_count(ngx_http_keyward_engine_t *engine, uint64_t *counts)
{
    ngx_uint_t  n;

    if (keyward_counts(engine->handle, counts, NGX_HTTP_KEYWARD_REASONS)
        != KEYWARD_OK)
    {
        return 0;
    }

    for (n = 1; n < NGX_HTTP_KEYWARD_REASONS; n++) {
        if (ngx_strcmp(keyward_reason_name((uint32_t) n), "unknown") == 0) {
            break;
        }
    }

    return n;
}


/* For JSON, and for labels, which take the same escapes. */

u_char *
ngx_http_keyward_escape(u_char *p, u_char *last, const u_char *data,
    size_t len)
{
    u_char  *src;

    src = (u_char *) data;

    if ((size_t) (last - p)
        < len + (size_t) ngx_escape_json(NULL, src, len))
    {
        return p;
    }

    return (u_char *) ngx_escape_json(p, src, len);
}
