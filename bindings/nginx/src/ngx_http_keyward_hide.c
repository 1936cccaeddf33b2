/*
 * Takes credentials out of what upstreams see: every header that the realm
 * takes a credential from, whether this request needed it or not, and every
 * header that something behind nginx may read as such a one.
 */

#include "ngx_http_keyward.h"


/* Longer names are none that nginx would pass on. */
#define NGX_HTTP_KEYWARD_NAME  256


static ngx_uint_t ngx_http_keyward_folds(ngx_str_t *name, char *credential);
static ngx_array_t *ngx_http_keyward_names(ngx_http_request_t *r,
    ngx_http_keyward_engine_t *engine, ngx_str_t *realm);


ngx_int_t
ngx_http_keyward_hide(ngx_http_request_t *r, ngx_http_keyward_loc_conf_t *conf,
    ngx_http_keyward_ctx_t *ctx)
{
    char            **names;
    ngx_uint_t        i, k, hidden, credential;
    ngx_list_t        rest;
    ngx_array_t      *credentials;
    ngx_list_part_t  *part;
    ngx_table_elt_t  *h, *copy;

    credentials = ngx_http_keyward_names(r, conf->engine, &conf->realm.value);
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

                if (&h[i] == r->headers_in.authorization) {
                    r->headers_in.authorization = NULL;
                    ngx_str_set(&r->headers_in.user, "");
                    ngx_str_null(&r->headers_in.passwd);
                }

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

    if (h == NULL
        || h->value.len < 5
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
