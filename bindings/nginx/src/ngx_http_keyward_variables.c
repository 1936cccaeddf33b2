/*
 * $keyward_...: of the last decision about the request. Before the access
 * phase, and where keyward was not asked, they are not there.
 */

#include "ngx_http_keyward.h"


static ngx_int_t ngx_http_keyward_text(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_keyward_reason(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);
static ngx_int_t ngx_http_keyward_generation(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data);


/*
 * Not cacheable: a request that is redirected may be decided again, and one
 * that asks too early gets the answer later.
 */

static ngx_http_variable_t  ngx_http_keyward_variables[] = {

    { ngx_string("keyward_reason"), NULL, ngx_http_keyward_reason,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("keyward_key_id"), NULL, ngx_http_keyward_text,
      offsetof(ngx_http_keyward_ctx_t, key_id), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("keyward_tenant"), NULL, ngx_http_keyward_text,
      offsetof(ngx_http_keyward_ctx_t, tenant), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("keyward_environment"), NULL, ngx_http_keyward_text,
      offsetof(ngx_http_keyward_ctx_t, environment),
      NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("keyward_subject"), NULL, ngx_http_keyward_text,
      offsetof(ngx_http_keyward_ctx_t, subject), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("keyward_scopes"), NULL, ngx_http_keyward_text,
      offsetof(ngx_http_keyward_ctx_t, scopes), NGX_HTTP_VAR_NOCACHEABLE, 0 },

    { ngx_string("keyward_generation"), NULL, ngx_http_keyward_generation,
      0, NGX_HTTP_VAR_NOCACHEABLE, 0 },

      ngx_http_null_variable
};


ngx_int_t
ngx_http_keyward_add_variables(ngx_conf_t *cf)
{
    ngx_http_variable_t  *var, *v;

    for (v = ngx_http_keyward_variables; v->name.len; v++) {

        var = ngx_http_add_variable(cf, &v->name, v->flags);
        if (var == NULL) {
            return NGX_ERROR;
        }

        var->get_handler = v->get_handler;
        var->data = v->data;
    }

    return NGX_OK;
}


/*
 * What nothing in the configuration uses is not asked for: fetching it takes
 * memory accesses of its own.
 */

void
ngx_http_keyward_find_used(ngx_cycle_t *cycle,
    ngx_http_keyward_main_conf_t *kmcf)
{
    ngx_uint_t                  i;
    ngx_http_variable_t        *used, *v;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_cycle_get_module_main_conf(cycle, ngx_http_core_module);

    used = cmcf->variables.elts;

    for (i = 0; i < cmcf->variables.nelts; i++) {

        for (v = ngx_http_keyward_variables; v->name.len; v++) {

            if (v->get_handler != ngx_http_keyward_text
                || used[i].name.len != v->name.len
                || ngx_strncmp(used[i].name.data, v->name.data, v->name.len)
                   != 0)
            {
                continue;
            }

            if (v->data == offsetof(ngx_http_keyward_ctx_t, scopes)) {
                kmcf->scopes_used = 1;

            } else {
                kmcf->identity_used = 1;
            }
        }
    }
}


static ngx_int_t
ngx_http_keyward_text(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    ngx_str_t               *text;
    ngx_http_keyward_ctx_t  *ctx;

    ctx = ngx_http_keyward_ctx(r);

    if (ctx == NULL || !ctx->decided) {
        v->not_found = 1;
        return NGX_OK;
    }

    text = (ngx_str_t *) ((char *) ctx + data);

    if (text->len == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->data = text->data;
    v->len = text->len;
    v->valid = 1;
    v->no_cacheable = 1;
    v->not_found = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_keyward_reason(ngx_http_request_t *r, ngx_http_variable_value_t *v,
    uintptr_t data)
{
    ngx_http_keyward_ctx_t  *ctx;

    (void) data;

    ctx = ngx_http_keyward_ctx(r);

    if (ctx == NULL || !ctx->decided) {
        v->not_found = 1;
        return NGX_OK;
    }

    v->data = (u_char *) keyward_reason_name(ctx->reason);
    v->len = ngx_strlen(v->data);
    v->valid = 1;
    v->no_cacheable = 1;
    v->not_found = 0;

    return NGX_OK;
}


static ngx_int_t
ngx_http_keyward_generation(ngx_http_request_t *r,
    ngx_http_variable_value_t *v, uintptr_t data)
{
    u_char                  *p;
    ngx_http_keyward_ctx_t  *ctx;

    (void) data;

    ctx = ngx_http_keyward_ctx(r);

    if (ctx == NULL || !ctx->decided || ctx->generation == 0) {
        v->not_found = 1;
        return NGX_OK;
    }

    p = ngx_pnalloc(r->pool, NGX_INT64_LEN);
    if (p == NULL) {
        return NGX_ERROR;
    }

    v->data = p;
    v->len = ngx_sprintf(p, "%uL", ctx->generation) - p;
    v->valid = 1;
    v->no_cacheable = 1;
    v->not_found = 0;

    return NGX_OK;
}
