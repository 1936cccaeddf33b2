/*
 * Decides, in the access phase.
 *
 * Two handlers stand there: the first of all, which decides, and the last,
 * for "satisfy any": nginx waits for other modules only with 401 and 403, so
 * another refusal is held until nobody else has let the request in.
 */

#include "ngx_http_keyward.h"


static ngx_int_t ngx_http_keyward_first(ngx_http_request_t *r);
static ngx_int_t ngx_http_keyward_last(ngx_http_request_t *r);
static ngx_int_t ngx_http_keyward_allowed(ngx_http_request_t *r);
static ngx_int_t ngx_http_keyward_log(ngx_http_request_t *r);
static ngx_uint_t ngx_http_keyward_is_lost(ngx_http_request_t *r,
    ngx_http_keyward_loc_conf_t *conf);
static ngx_int_t ngx_http_keyward_refuse(ngx_http_request_t *r,
    ngx_http_keyward_ctx_t *ctx);
static ngx_uint_t ngx_http_keyward_is_answered(
    ngx_http_keyward_question_t *question, ngx_http_keyward_ctx_t *ctx);
static ngx_http_keyward_ctx_t *ngx_http_keyward_create_ctx(
    ngx_http_request_t *r);
static void ngx_http_keyward_forget(void *data);
static ngx_int_t ngx_http_keyward_add_handler(ngx_conf_t *cf,
    ngx_uint_t phase, ngx_http_handler_pt handler, ngx_uint_t front);


/*
 * nginx calls the handlers of a phase from the back of the array, but those of
 * the log phase from its front.
 */

ngx_int_t
ngx_http_keyward_init_phases(ngx_conf_t *cf)
{
    if (ngx_http_keyward_add_handler(cf, NGX_HTTP_ACCESS_PHASE,
                                     ngx_http_keyward_first, 0) != NGX_OK
        || ngx_http_keyward_add_handler(cf, NGX_HTTP_ACCESS_PHASE,
                                        ngx_http_keyward_last, 1) != NGX_OK
        || ngx_http_keyward_add_handler(cf, NGX_HTTP_PRECONTENT_PHASE,
                                        ngx_http_keyward_allowed, 0) != NGX_OK
        || ngx_http_keyward_add_handler(cf, NGX_HTTP_LOG_PHASE,
                                        ngx_http_keyward_log, 1) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return NGX_OK;
}


static ngx_int_t
ngx_http_keyward_add_handler(ngx_conf_t *cf, ngx_uint_t phase,
    ngx_http_handler_pt handler, ngx_uint_t front)
{
    ngx_array_t                *handlers;
    ngx_http_handler_pt        *h;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_core_module);

    handlers = &cmcf->phases[phase].handlers;

    h = ngx_array_push(handlers);
    if (h == NULL) {
        return NGX_ERROR;
    }

    if (front) {
        h = handlers->elts;
        ngx_memmove(h + 1, h,
                    (handlers->nelts - 1) * sizeof(ngx_http_handler_pt));
    }

    *h = handler;

    return NGX_OK;
}


static ngx_int_t
ngx_http_keyward_first(ngx_http_request_t *r)
{
    ngx_int_t                     rc;
    ngx_http_keyward_ctx_t       *ctx;
    ngx_http_keyward_loc_conf_t  *klcf;
    ngx_http_keyward_question_t   question;

    klcf = ngx_http_get_module_loc_conf(r, ngx_http_keyward_module);

    if (klcf->realm.value.len == 0) {
        return NGX_DECLINED;
    }

    if (ngx_http_keyward_question(r, klcf, &question) != NGX_OK) {
        return NGX_ERROR;
    }

    ctx = ngx_http_keyward_ctx(r);

    if (ctx == NULL) {
        ctx = ngx_http_keyward_create_ctx(r);
        if (ctx == NULL) {
            return NGX_ERROR;
        }
    }

    ngx_http_set_ctx(r, ctx, ngx_http_keyward_module);

    ctx->engine = klcf->engine;
    ctx->refused = 0;
    ctx->held = 0;

    if (ngx_http_keyward_user_is_secret(r, klcf->engine, &klcf->realm.value)) {
        ctx->user_is_secret = 1;
    }

    /*
     * After an internal redirect the same question has the same answer: a
     * request counts once against its key's rate.
     */

    if (!ngx_http_keyward_is_answered(&question, ctx)) {

        ctx->question = question;

        rc = ngx_http_keyward_decide(r, ctx);

        if (rc != NGX_OK) {
            ctx->question.engine = NULL;
            return rc;
        }
    }

    if (ctx->answer == NULL) {
        return NGX_OK;
    }

    return ngx_http_keyward_refuse(r, ctx);
}


static ngx_uint_t
ngx_http_keyward_is_answered(ngx_http_keyward_question_t *question,
    ngx_http_keyward_ctx_t *ctx)
{
    ngx_http_keyward_question_t  *asked;

    asked = &ctx->question;

    return asked->engine
           && asked->engine == question->engine
           && asked->scopes == question->scopes
           && asked->tls == question->tls
           && ngx_http_keyward_equal(&asked->realm, &question->realm)
           && (asked->environment.data == NULL)
              == (question->environment.data == NULL)
           && ngx_http_keyward_equal(&asked->environment,
                                     &question->environment);
}


static ngx_int_t
ngx_http_keyward_refuse(ngx_http_request_t *r, ngx_http_keyward_ctx_t *ctx)
{
    ngx_uint_t                 status;
    ngx_http_core_loc_conf_t  *clcf;

    ctx->refused = 1;

    status = ctx->answer->carrier;

    clcf = ngx_http_get_module_loc_conf(r, ngx_http_core_module);

    if (clcf->satisfy == NGX_HTTP_SATISFY_ANY
        && status != NGX_HTTP_UNAUTHORIZED
        && status != NGX_HTTP_FORBIDDEN)
    {
        ctx->held = 1;
        return NGX_DECLINED;
    }

    return status;
}


static ngx_int_t
ngx_http_keyward_last(ngx_http_request_t *r)
{
    ngx_http_keyward_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_keyward_module);

    if (ctx == NULL || !ctx->held) {
        return NGX_DECLINED;
    }

    return ctx->answer->carrier;
}


/* The access phase is over, and the request goes on. */

static ngx_int_t
ngx_http_keyward_allowed(ngx_http_request_t *r)
{
    ngx_http_keyward_ctx_t       *ctx;
    ngx_http_keyward_loc_conf_t  *klcf;

    klcf = ngx_http_get_module_loc_conf(r, ngx_http_keyward_module);

    if (klcf->realm.value.len == 0) {

        /*
         * A page of error_page, or a subrequest: what stands behind it sees
         * the credentials of the realm that the request was for.
         */

        ctx = klcf->hide ? ngx_http_keyward_ctx(r) : NULL;

        if (ctx == NULL) {
            return NGX_DECLINED;
        }

        return ngx_http_keyward_hide(r, ctx->engine, &ctx->question.realm,
                                     ctx);
    }

    ctx = ngx_http_get_module_ctx(r, ngx_http_keyward_module);

    if (ctx && ctx->refused) {

        /*
         * "satisfy any", and somebody else has let it in: nothing is left of
         * the refusal but its reason. A key without the right to this is not
         * named to upstreams.
         */

        ctx->answer = NULL;
        ctx->question.engine = NULL;
        ctx->refused = 0;
        ctx->held = 0;
        ctx->overruled = 1;

        ngx_str_null(&ctx->key_id);
        ngx_str_null(&ctx->tenant);
        ngx_str_null(&ctx->environment);
        ngx_str_null(&ctx->subject);
        ngx_str_null(&ctx->scopes);
    }

    if (!klcf->hide) {
        return NGX_DECLINED;
    }

    return ngx_http_keyward_hide(r, klcf->engine, &klcf->realm.value, ctx);
}


/*
 * Before any access log is written. Where a key comes as the user name of
 * Basic authentication, the usual formats would write it down as $remote_user,
 * also for a request that ended before the access phase. The id of a pair is
 * not told from it: $keyward_key_id says whose request it was. A user whom
 * another module has let in is left.
 */

static ngx_int_t
ngx_http_keyward_log(ngx_http_request_t *r)
{
    ngx_http_keyward_ctx_t        *ctx;
    ngx_http_keyward_loc_conf_t   *klcf;
    ngx_http_variable_value_t     *v;
    ngx_http_keyward_main_conf_t  *kmcf;

    ctx = ngx_http_keyward_ctx(r);

    if (ctx) {
        if (!ctx->user_is_secret || ctx->overruled) {
            return NGX_OK;
        }

    } else {
        klcf = ngx_http_get_module_loc_conf(r, ngx_http_keyward_module);

        if (!ngx_http_keyward_is_lost(r, klcf)
            && (klcf->realm.value.len == 0
                || !ngx_http_keyward_user_is_secret(r, klcf->engine,
                                                    &klcf->realm.value)))
        {
            return NGX_OK;
        }
    }

    kmcf = ngx_http_get_module_main_conf(r, ngx_http_keyward_module);

    v = &r->variables[kmcf->remote_user];

    v->valid = 0;
    v->not_found = 1;
    v->no_cacheable = 0;

    return NGX_OK;
}


/*
 * A request that ended before it had a location (a second Authorization, a
 * header that is too large, no Host, a client that left): nobody knows which
 * realm it was for, so its user name may be a key of any. nginx may have made
 * a page of error_page out of it.
 */

static ngx_uint_t
ngx_http_keyward_is_lost(ngx_http_request_t *r,
    ngx_http_keyward_loc_conf_t *conf)
{
    ngx_http_core_srv_conf_t      *cscf;
    ngx_http_keyward_main_conf_t  *kmcf;

    kmcf = ngx_http_get_module_main_conf(r, ngx_http_keyward_module);

    if (kmcf->engines.nelts == 0) {
        return 0;
    }

    if (r->internal) {
        return r->err_status >= NGX_HTTP_BAD_REQUEST;
    }

    cscf = ngx_http_get_module_srv_conf(r, ngx_http_core_module);

    /* a server without locations may have answered what it was asked */

    return conf == cscf->ctx->loc_conf[ngx_http_keyward_module.ctx_index]
           && (r->headers_out.status < NGX_HTTP_OK
               || r->headers_out.status >= NGX_HTTP_SPECIAL_RESPONSE);
}


ngx_http_keyward_ctx_t *
ngx_http_keyward_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t      *cln;
    ngx_http_keyward_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_keyward_module);

    if (ctx || !(r->internal || r->filter_finalize)) {
        return ctx;
    }

    for (cln = r->pool->cleanup; cln; cln = cln->next) {
        if (cln->handler == ngx_http_keyward_forget) {
            return cln->data;
        }
    }

    return NULL;
}


static ngx_http_keyward_ctx_t *
ngx_http_keyward_create_ctx(ngx_http_request_t *r)
{
    ngx_pool_cleanup_t  *cln;

    cln = ngx_pool_cleanup_add(r->pool, sizeof(ngx_http_keyward_ctx_t));
    if (cln == NULL) {
        return NULL;
    }

    ngx_memzero(cln->data, sizeof(ngx_http_keyward_ctx_t));

    cln->handler = ngx_http_keyward_forget;

    return cln->data;
}


/* Its address is what a context is found by. */

static void
ngx_http_keyward_forget(void *data)
{
    (void) data;
}
