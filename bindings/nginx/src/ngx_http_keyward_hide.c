/*
 * Takes credentials out of what upstreams see: every header that the realm
 * takes a credential from, whether this request needed it or not, and every
 * header that something behind nginx may read as such a one.
 */

#include "ngx_http_keyward.h"


/* Longer names are none that nginx would pass on. */
#define NGX_HTTP_KEYWARD_NAME  256


static void ngx_http_keyward_unlink(ngx_http_request_t *r, ngx_str_t *name);
static void ngx_http_keyward_forget_values(ngx_http_request_t *r);
static ngx_uint_t ngx_http_keyward_folds(ngx_str_t *name, char *credential);
static ngx_array_t *ngx_http_keyward_names(ngx_http_request_t *r,
    ngx_http_keyward_engine_t *engine, ngx_str_t *realm);


ngx_int_t
ngx_http_keyward_hide(ngx_http_request_t *r, ngx_http_keyward_engine_t *engine,
    ngx_str_t *realm, ngx_http_keyward_ctx_t *ctx)
{
    char            **names;
    ngx_uint_t        i, k, hidden, credential;
    ngx_list_t        rest;
    ngx_array_t      *credentials;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h, *copy;

    credentials = ngx_http_keyward_names(r, engine, realm);
    if (credentials == NULL) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    names = credentials->elts;

    /* a new list, since others have pointers into the old one */

    if (ngx_list_init(&rest, r->pool, 20, sizeof(ngx_table_elt_t)) != NGX_OK) {
        return NGX_HTTP_INTERNAL_SERVER_ERROR;
    }

    hidden = 0;

    for (part = &r->headers_in.headers.part; part; part = part->next) {
        h = part->elts;

        for (i = 0; i < part->nelts; i++) {

            credential = 0;

            for (k = 0; k < credentials->nelts && !credential; k++) {
                credential = ngx_http_keyward_folds(&h[i].key, names[k]);
            }

            if (credential) {
                hidden = 1;
                ngx_http_keyward_unlink(r, &h[i].key);
                continue;
            }

            copy = ngx_list_push(&rest);
            if (copy == NULL) {
                return NGX_HTTP_INTERNAL_SERVER_ERROR;
            }

            *copy = h[i];
        }
    }

    if (!hidden) {
        return NGX_DECLINED;
    }

    ngx_http_keyward_forget_values(r);

    if (ctx && ctx->received == NULL && r == r->main) {

        ctx->received = ngx_palloc(r->pool, sizeof(ngx_list_t));
        if (ctx->received == NULL) {
            return NGX_HTTP_INTERNAL_SERVER_ERROR;
        }

        *ctx->received = r->headers_in.headers;
    }

    r->headers_in.headers = rest;

    /* the end of a list that was moved */

    if (rest.last == &rest.part) {
        r->headers_in.headers.last = &r->headers_in.headers.part;
    }

    return NGX_DECLINED;
}


/*
 * nginx has pointers of its own to some headers, and variables that read them
 * there. By the name: the list may have been copied since.
 */

static void
ngx_http_keyward_unlink(ngx_http_request_t *r, ngx_str_t *name)
{
    if (ngx_http_keyward_folds(name, "authorization")) {
        r->headers_in.authorization = NULL;
        ngx_str_set(&r->headers_in.user, "");
        ngx_str_null(&r->headers_in.passwd);

    } else if (ngx_http_keyward_folds(name, "user-agent")) {
        r->headers_in.user_agent = NULL;

    } else if (ngx_http_keyward_folds(name, "referer")) {
        r->headers_in.referer = NULL;

#if (NGX_HTTP_GZIP || NGX_HTTP_HEADERS)
    } else if (ngx_http_keyward_folds(name, "via")) {
        r->headers_in.via = NULL;
#endif

#if (nginx_version >= 1023000)

    } else if (ngx_http_keyward_folds(name, "cookie")) {
        r->headers_in.cookie = NULL;

#if (NGX_HTTP_X_FORWARDED_FOR)
    } else if (ngx_http_keyward_folds(name, "x-forwarded-for")) {
        r->headers_in.x_forwarded_for = NULL;
#endif

#else

    } else if (ngx_http_keyward_folds(name, "cookie")) {
        r->headers_in.cookies.nelts = 0;

#if (NGX_HTTP_X_FORWARDED_FOR)
    } else if (ngx_http_keyward_folds(name, "x-forwarded-for")) {
        r->headers_in.x_forwarded_for.nelts = 0;
#endif

#endif
    }
}


/*
 * Values that nginx has kept since something before the access phase used them:
 * limit_req, "if". They are read from the headers again where they are used
 * next. What "set" and "map" give is the configuration's, not the client's; and
 * only the hash knows what "set" has made of a name that starts as a header's.
 */

static void
ngx_http_keyward_forget_values(ngx_http_request_t *r)
{
    ngx_str_t                  *name;
    ngx_uint_t                  i;
    ngx_http_variable_t        *v, *known;
    ngx_http_core_main_conf_t  *cmcf;

    cmcf = ngx_http_get_module_main_conf(r, ngx_http_core_module);

    v = cmcf->variables.elts;

    for (i = 0; i < cmcf->variables.nelts; i++) {

        name = &v[i].name;

        if (!(name->len > 5 && ngx_strncmp(name->data, "http_", 5) == 0)
            && !(name->len > 7 && ngx_strncmp(name->data, "cookie_", 7) == 0)
            && !(name->len == 11
                 && ngx_strncmp(name->data, "remote_user", 11) == 0))
        {
            continue;
        }

        known = ngx_hash_find(&cmcf->variables_hash,
                              ngx_hash_key(name->data, name->len), name->data,
                              name->len);

        if (known && (known->flags & NGX_HTTP_VAR_CHANGEABLE)) {
            continue;
        }

        r->variables[i].valid = 0;
        r->variables[i].not_found = 0;
    }
}


/* The names of the realm's credential headers, each with a NUL. */

static ngx_array_t *
ngx_http_keyward_names(ngx_http_request_t *r,
    ngx_http_keyward_engine_t *engine, ngx_str_t *realm)
{
    char           name[NGX_HTTP_KEYWARD_NAME], **p;
    size_t         i, len;
    int32_t        rc;
    ngx_array_t   *names;
    keyward_bytes  id;

    ngx_http_keyward_bytes(id, realm);

    names = ngx_array_create(r->pool, 4, sizeof(char *));
    if (names == NULL) {
        return NULL;
    }

    for (i = 0; /* void */ ; i++) {

        rc = keyward_credential_header(engine->handle, id, i, NULL, name,
                                       sizeof(name), &len);

        if (rc == KEYWARD_E_BUFFER) {
            continue;
        }

        /* KEYWARD_E_END, or a realm that the newest generation lacks */

        if (rc != KEYWARD_OK) {
            return names;
        }

        p = ngx_array_push(names);
        if (p == NULL) {
            return NULL;
        }

        *p = ngx_pnalloc(r->pool, len);
        if (*p == NULL) {
            return NULL;
        }

        ngx_memcpy(*p, name, len);
    }
}


/* Whether something that reads "-", "_" and "." alike takes one for the other. */

static ngx_uint_t
ngx_http_keyward_folds(ngx_str_t *name, char *credential)
{
    u_char   a, b;
    size_t   i;

    for (i = 0; i < name->len; i++) {

        a = ngx_tolower(name->data[i]);
        b = ngx_tolower((u_char) credential[i]);

        if (b == '\0') {
            return 0;
        }

        if (a == '_' || a == '.') {
            a = '-';
        }

        if (b == '_' || b == '.') {
            b = '-';
        }

        if (a != b) {
            return 0;
        }
    }

    return credential[i] == '\0';
}


/*
 * A user name that came with Basic authentication, where the realm reads
 * Authorization: it may be a key, and be it one that was meant for a Bearer.
 */

ngx_uint_t
ngx_http_keyward_user_is_secret(ngx_http_request_t *r,
    ngx_http_keyward_engine_t *engine, ngx_str_t *realm)
{
    char              name[NGX_HTTP_KEYWARD_NAME];
    size_t            i, len;
    int32_t           rc;
    ngx_str_t         authorization;
    keyward_bytes     id;
    ngx_table_elt_t  *h;

    h = r->headers_in.authorization;

    /* the second letter first, which tells it from "Bearer" without a call */

    if (h == NULL
        || h->value.len < 5
        || ngx_tolower(h->value.data[1]) != 'a'
        || ngx_strncasecmp(h->value.data, (u_char *) "Basic", 5) != 0)
    {
        return 0;
    }

    ngx_http_keyward_bytes(id, realm);
    ngx_str_set(&authorization, "authorization");

    for (i = 0; /* void */ ; i++) {

        rc = keyward_credential_header(engine->handle, id, i, NULL, name,
                                       sizeof(name), &len);

        if (rc == KEYWARD_E_BUFFER) {
            continue;
        }

        if (rc != KEYWARD_OK) {

            /* with no realm to ask, better none than one that is a secret */

            return rc != KEYWARD_E_END;
        }

        if (ngx_http_keyward_folds(&authorization, name)) {
            return 1;
        }
    }
}
