/*
 * What nginx knows of a request, as the engine takes it.
 *
 * It is always the client's own request: its method and its target as sent,
 * whatever rewrites and internal redirects have made of them since. Nobody
 * gets a decision about one path and the content of another by them, unless
 * the configuration says so.
 */

#include "ngx_http_keyward.h"


/* More header fields than this are listed in the request's pool. */
#define NGX_HTTP_KEYWARD_FIELDS  48

/* $keyward_scopes has nothing of a longer list. */
#define NGX_HTTP_KEYWARD_SCOPES  4096


static ngx_int_t ngx_http_keyward_list_headers(ngx_http_request_t *r,
    ngx_list_t *list, keyward_header *fields, keyward_request *request);
static void ngx_http_keyward_set_target(ngx_http_request_t *r,
    keyward_request *request);
static void ngx_http_keyward_set_peer(ngx_http_request_t *r,
    keyward_request *request);
static ngx_int_t ngx_http_keyward_keep(ngx_http_request_t *r,
    ngx_http_keyward_ctx_t *ctx, keyward_verdict *verdict, char *scopes);
static void ngx_http_keyward_complain(ngx_http_request_t *r,
    ngx_http_keyward_ctx_t *ctx);


ngx_int_t
ngx_http_keyward_question(ngx_http_request_t *r,
    ngx_http_keyward_loc_conf_t *conf, ngx_http_keyward_question_t *question)
{
    ngx_str_t  tls;

    question->engine = conf->engine;
    question->realm = conf->realm.value;
    question->scopes = conf->scopes;

    ngx_str_null(&question->environment);

    if (conf->environment) {

        if (ngx_http_complex_value(r, conf->environment,
                                   &question->environment)
            != NGX_OK)
        {
            return NGX_ERROR;
        }

        /* an empty one is said as well: no key is of it */

        if (question->environment.data == NULL) {
            ngx_str_set(&question->environment, "");
        }
    }

    if (conf->tls) {

        if (ngx_http_complex_value(r, conf->tls, &tls) != NGX_OK) {
            return NGX_ERROR;
        }

        question->tls = (tls.len == 2
                         && ngx_strncmp(tls.data, "on", 2) == 0)
                        || (tls.len == 5
                            && ngx_strncasecmp(tls.data, (u_char *) "https", 5)
                               == 0);
        return NGX_OK;
    }

#if (NGX_HTTP_SSL)
    question->tls = (r->connection->ssl != NULL);
#else
    question->tls = 0;
#endif

    return NGX_OK;
}


/* NGX_OK: the context has the decision. */

ngx_int_t
ngx_http_keyward_decide(ngx_http_request_t *r, ngx_http_keyward_ctx_t *ctx)
{
    int32_t                        rc;
    keyward_header                 fields[NGX_HTTP_KEYWARD_FIELDS];
    keyward_request                request;
    ngx_http_keyward_question_t   *question;
    ngx_http_keyward_main_conf_t  *kmcf;

    /*
     * One of each is enough for a worker, which decides one request at a time.
     * On the stack these 12 KiB would put all that the engine works with out
     * of the cache lines that nginx's own functions use.
     */

    static char                    scopes[NGX_HTTP_KEYWARD_SCOPES];
    static keyward_verdict         verdict;

    question = &ctx->question;
    kmcf = ngx_http_get_module_main_conf(r, ngx_http_keyward_module);

    ctx->answer = NULL;

    ngx_memzero(&request, sizeof(keyward_request));

    ngx_http_keyward_bytes(request.realm, &question->realm);

    if (question->environment.data) {
        ngx_http_keyward_bytes(request.environment, &question->environment);
    }

    if (question->scopes) {
        request.scopes = question->scopes->elts;
        request.scope_count = question->scopes->nelts;
    }

    if (question->tls) {
        request.flags |= KEYWARD_TLS;
    }

    if (!kmcf->identity_used) {
        request.flags |= KEYWARD_NO_IDENTITY;
    }

    if (kmcf->scopes_used) {
        request.scopes_buffer = scopes;
        request.scopes_capacity = NGX_HTTP_KEYWARD_SCOPES;
    }

    /* no time: the library's clock never goes back, which nginx's does where
     * the system's is set back */

    ngx_http_keyward_set_target(r, &request);
    ngx_http_keyward_set_peer(r, &request);

    if (ngx_http_keyward_list_headers(r,
                                      ctx->received ? ctx->received
                                                    : &r->headers_in.headers,
                                      fields, &request)
        != NGX_OK)
    {
        return NGX_ERROR;
    }

    if (question->engine->stale) {
        ngx_memzero(&verdict, sizeof(keyward_verdict));
        verdict.reason = KEYWARD_REASON_UNAVAILABLE;

    } else {
        rc = keyward_verify(question->engine->handle, &request,
                            sizeof(keyward_request), &verdict,
                            sizeof(keyward_verdict));

        if (rc == KEYWARD_E_UTF8 && request.environment.len) {

            /* out of a variable; a name that is no text is one of nothing */

            request.environment.len = 0;

            rc = keyward_verify(question->engine->handle, &request,
                                sizeof(keyward_request), &verdict,
                                sizeof(keyward_verdict));
        }

        if (rc != KEYWARD_OK) {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "keyward: %s", keyward_status_name(rc));
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }
    }

    if (ngx_http_keyward_keep(r, ctx, &verdict, scopes) != NGX_OK) {
        return NGX_ERROR;
    }

    if (verdict.decision == KEYWARD_ALLOW) {
        return NGX_OK;
    }

    if (ngx_http_keyward_render(r, ctx, &verdict) != NGX_OK) {
        return NGX_ERROR;
    }

    ngx_http_keyward_complain(r, ctx);

    return NGX_OK;
}


/*
 * The method is the first word of the request line, because error_page turns
 * r->method_name into GET. The host is that of an absolute target, which goes
 * before a Host header (RFC 9112, section 3.2.2), else that of the header,
 * both as sent.
 */

static void
ngx_http_keyward_set_target(ngx_http_request_t *r, keyward_request *request)
{
    u_char  *p;

    p = ngx_strlchr(r->request_line.data,
                    r->request_line.data + r->request_line.len, ' ');

    if (p) {
        request->method.data = r->request_line.data;
        request->method.len = p - r->request_line.data;

    } else {
        ngx_http_keyward_bytes(request->method, &r->method_name);
    }

    ngx_http_keyward_bytes(request->path, &r->unparsed_uri);

    /* "http://host?query": RFC 9110, section 4.2.3, an empty path is "/" */

    if (r->schema_end && r->unparsed_uri.len && r->unparsed_uri.data[0] == '?')
    {
        request->path.data = (u_char *) "/";
        request->path.len = 1;
    }

    if (r->host_start && r->host_end) {
        request->host.data = r->host_start;
        request->host.len = r->host_end - r->host_start;

    } else if (r->headers_in.host) {
        ngx_http_keyward_bytes(request->host, &r->headers_in.host->value);
    }
}


/* The realip module has put the client's address there, where it is in use. */

static void
ngx_http_keyward_set_peer(ngx_http_request_t *r, keyward_request *request)
{
    struct sockaddr      *sa;
    struct sockaddr_in   *sin;
#if (NGX_HAVE_INET6)
    struct sockaddr_in6  *sin6;
#endif

    sa = r->connection->sockaddr;

    switch (sa->sa_family) {

    case AF_INET:
        sin = (struct sockaddr_in *) sa;
        request->peer_family = KEYWARD_PEER_IPV4;
        ngx_memcpy(request->peer_address, &sin->sin_addr, 4);
        break;

#if (NGX_HAVE_INET6)
    case AF_INET6:
        sin6 = (struct sockaddr_in6 *) sa;
        request->peer_family = KEYWARD_PEER_IPV6;
        ngx_memcpy(request->peer_address, &sin6->sin6_addr, 16);
        break;
#endif

#if (NGX_HAVE_UNIX_DOMAIN)
    case AF_UNIX:
        request->peer_family = KEYWARD_PEER_UNIX;
        break;
#endif
    }
}


static ngx_int_t
ngx_http_keyward_list_headers(ngx_http_request_t *r, ngx_list_t *list,
    keyward_header *fields, keyward_request *request)
{
    size_t            n;
    ngx_uint_t        i;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h;

    n = 0;

    for (part = &list->part; part; part = part->next) {
        n += part->nelts;
    }

    if (n > NGX_HTTP_KEYWARD_FIELDS) {
        fields = ngx_palloc(r->pool, n * sizeof(keyward_header));
        if (fields == NULL) {
            return NGX_ERROR;
        }
    }

    request->headers = fields;
    request->header_count = n;

    for (part = &list->part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {
            ngx_http_keyward_bytes(fields->name, &h[i].key);
            ngx_http_keyward_bytes(fields->value, &h[i].value);
            fields++;
        }
    }

    return NGX_OK;
}


/* Copies what the variables show: the verdict is the next request's, too. */

static ngx_int_t
ngx_http_keyward_keep(ngx_http_request_t *r, ngx_http_keyward_ctx_t *ctx,
    keyward_verdict *verdict, char *scopes)
{
    size_t   len, scopes_len;
    u_char  *p;

    ctx->reason = verdict->reason;
    ctx->generation = verdict->generation;
    ctx->decided = 1;
    ctx->overruled = 0;

    /* a list that does not fit is none, since part of one misleads */

    scopes_len = (verdict->scopes_len < NGX_HTTP_KEYWARD_SCOPES)
                 ? verdict->scopes_len : 0;

    len = (size_t) verdict->key_id_len + verdict->tenant_len
          + verdict->environment_len + verdict->subject_len + scopes_len;

    p = NULL;

    if (len) {
        p = ngx_pnalloc(r->pool, len);
        if (p == NULL) {
            return NGX_ERROR;
        }
    }

#define keep(name, text, length)                                              \
    ctx->name.data = p;                                                       \
    ctx->name.len = length;                                                   \
    p = (length) ? ngx_cpymem(p, text, length) : p

    keep(key_id, verdict->key_id, verdict->key_id_len);
    keep(tenant, verdict->tenant, verdict->tenant_len);
    keep(environment, verdict->environment, verdict->environment_len);
    keep(subject, verdict->subject, verdict->subject_len);
    keep(scopes, scopes, scopes_len);

#undef keep

    return NGX_OK;
}


static void
ngx_http_keyward_complain(ngx_http_request_t *r, ngx_http_keyward_ctx_t *ctx)
{
    ngx_http_keyward_engine_t  *engine;

    ngx_log_error(NGX_LOG_INFO, r->connection->log, 0,
                  "keyward: %s", keyward_reason_name(ctx->reason));

    if (ctx->reason != KEYWARD_REASON_UNAVAILABLE) {
        return;
    }

    /* not for every request: that would be the log's next outage */

    engine = ctx->question.engine;

    if (engine->complained == ngx_time()) {
        return;
    }

    engine->complained = ngx_time();

    if (engine->stale) {
        ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                      "keyward: nothing can be decided: this worker has "
                      "generation %uL of \"%V\", and others have decided "
                      "from generation %uL",
                      engine->info.generation, &engine->snapshot.value,
                      engine->floor);
        return;
    }

    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                  "keyward: nothing can be decided for realm \"%V\" from "
                  "generation %uL of \"%V\"",
                  &ctx->question.realm, ctx->generation,
                  &engine->snapshot.value);
}
