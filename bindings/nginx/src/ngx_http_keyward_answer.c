/*
 * What a refused client is told.
 *
 * The access handler returns a status, as every access module does, so that
 * "satisfy", "auth_delay" and "error_page" work as for any other. Where nginx
 * then sends its own page for that status, filters put keyward's answer in its
 * place. Where error_page sends something else, its content stays; challenges
 * and Retry-After are added as long as the status is still the answer's.
 */

#include "ngx_http_keyward.h"


/* Enough for all but long bodies of a realm's own. */
#define NGX_HTTP_KEYWARD_ANSWER_SIZE  512


static ngx_uint_t ngx_http_keyward_carrier(ngx_uint_t status);
static ngx_int_t ngx_http_keyward_header_filter(ngx_http_request_t *r);
static ngx_int_t ngx_http_keyward_body_filter(ngx_http_request_t *r,
    ngx_chain_t *in);
static ngx_int_t ngx_http_keyward_add_headers(ngx_http_request_t *r,
    ngx_http_keyward_answer_t *answer);
static void ngx_http_keyward_replace(ngx_http_request_t *r,
    ngx_http_keyward_answer_t *answer);


static ngx_http_output_header_filter_pt  ngx_http_next_header_filter;
static ngx_http_output_body_filter_pt    ngx_http_next_body_filter;


void
ngx_http_keyward_init_filters(void)
{
    ngx_http_next_header_filter = ngx_http_top_header_filter;
    ngx_http_top_header_filter = ngx_http_keyward_header_filter;

    ngx_http_next_body_filter = ngx_http_top_body_filter;
    ngx_http_top_body_filter = ngx_http_keyward_body_filter;
}


ngx_int_t
ngx_http_keyward_render(ngx_http_request_t *r, ngx_http_keyward_ctx_t *ctx,
    keyward_verdict *verdict)
{
    u_char                     *buffer;
    size_t                      size, needed;
    int32_t                     rc;
    keyward_bytes               realm;
    ngx_http_keyward_answer_t  *answer;

    answer = ngx_palloc(r->pool, sizeof(ngx_http_keyward_answer_t));
    if (answer == NULL) {
        return NGX_ERROR;
    }

    ngx_http_keyward_bytes(realm, &ctx->question.realm);

    size = NGX_HTTP_KEYWARD_ANSWER_SIZE;

    for ( ;; ) {

        buffer = ngx_pnalloc(r->pool, size);
        if (buffer == NULL) {
            return NGX_ERROR;
        }

        rc = keyward_answer(ctx->question.engine->handle, realm, verdict,
                            sizeof(keyward_verdict), &answer->response,
                            sizeof(keyward_response), buffer, size, &needed);

        if (rc == KEYWARD_OK) {
            break;
        }

        if (rc != KEYWARD_E_BUFFER || needed <= size) {
            ngx_log_error(NGX_LOG_ERR, r->connection->log, 0,
                          "keyward: no answer: %s", keyward_status_name(rc));
            return NGX_ERROR;
        }

        size = needed;
    }

    answer->carrier = ngx_http_keyward_carrier(answer->response.status);

    ctx->answer = answer;

    return NGX_OK;
}


/*
 * A realm may answer with any status of 400 to 599. With these nginx closes
 * the connection, or sends another.
 */

static ngx_uint_t
ngx_http_keyward_carrier(ngx_uint_t status)
{
    switch (status) {

    case NGX_HTTP_REQUEST_TIME_OUT:
    case NGX_HTTP_CLOSE:
    case NGX_HTTP_REQUEST_HEADER_TOO_LARGE:
    case NGX_HTTPS_CERT_ERROR:
    case NGX_HTTPS_NO_CERT:
    case NGX_HTTP_TO_HTTPS:
    case NGX_HTTP_CLIENT_CLOSED_REQUEST:
        return NGX_HTTP_FORBIDDEN;

    default:
        return status;
    }
}


static ngx_int_t
ngx_http_keyward_header_filter(ngx_http_request_t *r)
{
    ngx_http_keyward_ctx_t     *ctx;
    ngx_http_keyward_answer_t  *answer;

    if (r != r->main) {
        return ngx_http_next_header_filter(r);
    }

    ctx = ngx_http_keyward_ctx(r);

    if (ctx == NULL || ctx->answer == NULL) {
        return ngx_http_next_header_filter(r);
    }

    answer = ctx->answer;

    /* nginx forgets the context where error_page leads elsewhere */

    if (ngx_http_get_module_ctx(r, ngx_http_keyward_module)
        && ctx->refused
        && r->headers_out.status == answer->carrier)
    {
        ngx_http_keyward_replace(r, answer);
        ctx->replace = 1;
    }

    if (r->headers_out.status == answer->response.status
        && ngx_http_keyward_add_headers(r, answer) != NGX_OK)
    {
        return NGX_ERROR;
    }

    return ngx_http_next_header_filter(r);
}


static void
ngx_http_keyward_replace(ngx_http_request_t *r,
    ngx_http_keyward_answer_t *answer)
{
    u_char         *p;
    keyward_bytes  *type;

    r->headers_out.status = answer->response.status;
    r->err_status = answer->response.status;

    type = &answer->response.content_type;

    r->headers_out.content_type.data = (u_char *) type->data;
    r->headers_out.content_type.len = type->len;
    r->headers_out.content_type_lowcase = NULL;

    /* without parameters: what gzip_types and charset_types look at */

    p = type->len ? ngx_strlchr(r->headers_out.content_type.data,
                                r->headers_out.content_type.data + type->len,
                                ';')
                  : NULL;

    r->headers_out.content_type_len = p ? (size_t) (p - type->data)
                                        : type->len;

    ngx_http_clear_content_length(r);
    r->headers_out.content_length_n = answer->response.body.len;
}


static ngx_int_t
ngx_http_keyward_add_headers(ngx_http_request_t *r,
    ngx_http_keyward_answer_t *answer)
{
    uint32_t          i;
    keyward_header   *header;
    ngx_table_elt_t  *h;

    for (i = 0; i < answer->response.header_count; i++) {
        header = &answer->response.headers[i];

        h = ngx_list_push(&r->headers_out.headers);
        if (h == NULL) {
            return NGX_ERROR;
        }

        h->hash = 1;
        h->key.data = (u_char *) header->name.data;
        h->key.len = header->name.len;
        h->value.data = (u_char *) header->value.data;
        h->value.len = header->value.len;
        h->lowcase_key = NULL;
#if (nginx_version >= 1023000)
        h->next = NULL;
#endif
    }

    return NGX_OK;
}


/* Sends the answer's body in place of the page that comes in. */

static ngx_int_t
ngx_http_keyward_body_filter(ngx_http_request_t *r, ngx_chain_t *in)
{
    ngx_buf_t               *b;
    ngx_chain_t             *cl, out;
    keyward_bytes           *body;
    ngx_http_keyward_ctx_t  *ctx;

    ctx = ngx_http_get_module_ctx(r, ngx_http_keyward_module);

    if (ctx == NULL || !ctx->replace || in == NULL) {
        return ngx_http_next_body_filter(r, in);
    }

    for (cl = in; cl; cl = cl->next) {
        cl->buf->pos = cl->buf->last;
        cl->buf->file_pos = cl->buf->file_last;
    }

    if (ctx->replaced) {
        return NGX_OK;
    }

    ctx->replaced = 1;

    b = ngx_calloc_buf(r->pool);
    if (b == NULL) {
        return NGX_ERROR;
    }

    body = &ctx->answer->response.body;

    if (body->len) {
        b->memory = 1;
        b->pos = (u_char *) body->data;
        b->last = b->pos + body->len;
    }

    b->last_buf = 1;
    b->last_in_chain = 1;

    out.buf = b;
    out.next = NULL;

    return ngx_http_next_body_filter(r, &out);
}
