/*
 * What the files of the module share.
 *
 * module     the directives' table, and how they merge
 * directives what stands behind each
 * engine     opens snapshots while the configuration is read
 * follow     takes new generations in a worker, in a thread of its own
 * master     the same in the master, where workers are forked from
 * access     decides, in the access phase
 * request    what nginx knows of a request, as the engine takes it
 * answer     what a refused client is told
 * hide       takes credentials out of what upstreams see
 * variables  $keyward_...
 * status     the location of keyward_status
 * metrics    the same in Prometheus' format
 */

#ifndef NGX_HTTP_KEYWARD_H_INCLUDED_
#define NGX_HTTP_KEYWARD_H_INCLUDED_


#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>
#include <keyward.h>


/* A path, and where it was written, for messages about it. */

typedef struct {
    ngx_str_t                    value;
    ngx_str_t                    file;
    ngx_uint_t                   line;
} ngx_http_keyward_setting_t;


/* In memory that all workers share, and that outlives a reload of nginx. */

typedef struct {
    /* the newest generation that any worker has decided from */
    ngx_atomic_t                 generation;
} ngx_http_keyward_shared_t;


typedef struct {
    ngx_http_keyward_setting_t   snapshot;
    ngx_http_keyward_setting_t   keyring;
    ngx_http_keyward_setting_t   state;

    keyward_engine              *handle;
    ngx_shm_zone_t              *zone;
    ngx_http_keyward_shared_t   *shared;

    /* the event loop's, as of the last tick */
    keyward_engine_info          info;

    /* the thread's; under the follower's mutex */
    keyward_engine_info          found;

    /* what others had decided from when this worker started */
    uint64_t                     floor;

    /* this worker is older than that: it must not decide */
    unsigned                     stale:1;

    time_t                       complained;
} ngx_http_keyward_engine_t;


typedef struct ngx_http_keyward_follower_s  ngx_http_keyward_follower_t;


typedef struct {
    ngx_array_t                  engines;    /* ngx_http_keyward_engine_t * */
    ngx_msec_t                   reload;
    ngx_int_t                    remote_user;

    /* whether anything in the configuration uses such variables */
    ngx_uint_t                   identity_used;
    ngx_uint_t                   scopes_used;

    ngx_http_keyward_follower_t *follower;
} ngx_http_keyward_main_conf_t;


typedef struct {
    ngx_http_keyward_setting_t   snapshot;
    ngx_http_keyward_setting_t   keyring;

    /* empty: off; no data: not set */
    ngx_http_keyward_setting_t   state;
    ngx_http_keyward_setting_t   realm;

    /* keys that a new state has room for; 0: the library says */
    ngx_uint_t                   state_keys;

    /* NULL: off */
    ngx_http_complex_value_t    *environment;
    ngx_http_keyward_setting_t   environment_set;

    ngx_http_complex_value_t    *tls;

    /* keyward_bytes; NULL: off */
    ngx_array_t                 *scopes;

    ngx_flag_t                   hide;
    ngx_uint_t                   status_format;

    ngx_http_keyward_engine_t   *engine;
} ngx_http_keyward_loc_conf_t;


/* What a verdict was asked for besides what the client sent. */

typedef struct {
    ngx_http_keyward_engine_t   *engine;
    ngx_str_t                    realm;
    ngx_str_t                    environment;    /* no data: none is said */
    ngx_array_t                 *scopes;
    ngx_uint_t                   tls;
} ngx_http_keyward_question_t;


typedef struct {
    /* its texts are in the request's pool */
    keyward_response             response;

    /* the status that nginx is given: it has other plans with some */
    ngx_uint_t                   carrier;
} ngx_http_keyward_answer_t;


/*
 * Kept in the request's pool and found again after an internal redirect,
 * when nginx forgets the contexts of modules.
 */

typedef struct {
    ngx_http_keyward_question_t  question;

    /* whose credentials the request may have, whatever it was told */
    ngx_http_keyward_engine_t   *engine;

    uint32_t                     reason;
    uint64_t                     generation;
    ngx_str_t                    key_id;
    ngx_str_t                    tenant;
    ngx_str_t                    environment;
    ngx_str_t                    subject;
    ngx_str_t                    scopes;

    /* NULL: the request is allowed */
    ngx_http_keyward_answer_t   *answer;

    /* the headers as they came, where some were taken out since */
    ngx_list_t                  *received;

    unsigned                     decided:1;

    /* refused in this pass through the phases, not before a redirect */
    unsigned                     refused:1;

    /* refused with a status that "satisfy any" would not wait with */
    unsigned                     held:1;

    /* the special response of nginx is being replaced by ours */
    unsigned                     replace:1;
    unsigned                     replaced:1;

    /* "satisfy any", and another module has let the request in */
    unsigned                     overruled:1;

    /* the user name of Basic authentication may be a key */
    unsigned                     user_is_secret:1;
} ngx_http_keyward_ctx_t;


#define NGX_HTTP_KEYWARD_STATUS_AUTO        0
#define NGX_HTTP_KEYWARD_STATUS_JSON        1
#define NGX_HTTP_KEYWARD_STATUS_PROMETHEUS  2


/* As many numbers as reasons have, and room for those to come. */
#define NGX_HTTP_KEYWARD_REASONS            64


#define ngx_http_keyward_bytes(name, string)                                  \
    (name).data = (string)->data;                                             \
    (name).len = (string)->len


/* directives */
char *ngx_http_keyward_set_path(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_keyward_set_state(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_keyward_set_realm(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_keyward_set_environment(ngx_conf_t *cf,
    ngx_command_t *cmd, void *conf);
char *ngx_http_keyward_set_tls(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_keyward_set_scopes(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_keyward_set_reload(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);
char *ngx_http_keyward_set_status(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf);

/* engine */
ngx_http_keyward_engine_t *ngx_http_keyward_open(ngx_conf_t *cf,
    ngx_http_keyward_loc_conf_t *conf);
ngx_int_t ngx_http_keyward_check_conf(ngx_conf_t *cf,
    ngx_http_keyward_loc_conf_t *conf);
ngx_uint_t ngx_http_keyward_equal(ngx_str_t *a, ngx_str_t *b);
void ngx_http_keyward_adopt(ngx_http_keyward_engine_t *engine,
    keyward_engine_info *info, ngx_log_t *log);

/* follow */
ngx_int_t ngx_http_keyward_init_process(ngx_cycle_t *cycle);
ngx_int_t ngx_http_keyward_start(ngx_http_keyward_main_conf_t *kmcf,
    ngx_uint_t alone);
void ngx_http_keyward_stop(ngx_http_keyward_main_conf_t *kmcf);
void ngx_http_keyward_pause(ngx_http_keyward_main_conf_t *kmcf);
void ngx_http_keyward_resume(ngx_http_keyward_main_conf_t *kmcf);
void ngx_http_keyward_forsake(ngx_http_keyward_main_conf_t *kmcf);

/* master */
ngx_int_t ngx_http_keyward_init_module(ngx_cycle_t *cycle);

/* access */
ngx_int_t ngx_http_keyward_init_phases(ngx_conf_t *cf);
ngx_http_keyward_ctx_t *ngx_http_keyward_ctx(ngx_http_request_t *r);

/* request */
ngx_int_t ngx_http_keyward_question(ngx_http_request_t *r,
    ngx_http_keyward_loc_conf_t *conf, ngx_http_keyward_question_t *question);
ngx_int_t ngx_http_keyward_decide(ngx_http_request_t *r,
    ngx_http_keyward_ctx_t *ctx);

/* answer */
ngx_int_t ngx_http_keyward_render(ngx_http_request_t *r,
    ngx_http_keyward_ctx_t *ctx, keyward_verdict *verdict);
void ngx_http_keyward_init_filters(void);

/* hide */
ngx_int_t ngx_http_keyward_hide(ngx_http_request_t *r,
    ngx_http_keyward_engine_t *engine, ngx_str_t *realm,
    ngx_http_keyward_ctx_t *ctx);
ngx_uint_t ngx_http_keyward_user_is_secret(ngx_http_request_t *r,
    ngx_http_keyward_engine_t *engine, ngx_str_t *realm);

/* variables */
ngx_int_t ngx_http_keyward_add_variables(ngx_conf_t *cf);
void ngx_http_keyward_find_used(ngx_cycle_t *cycle,
    ngx_http_keyward_main_conf_t *kmcf);

/* status */
ngx_int_t ngx_http_keyward_status(ngx_http_request_t *r);
ngx_uint_t ngx_http_keyward_count(ngx_http_keyward_engine_t *engine,
    uint64_t *counts);
u_char *ngx_http_keyward_escape(u_char *p, u_char *last, const u_char *data,
    size_t len);

/* metrics */
u_char *ngx_http_keyward_prometheus(u_char *p, u_char *last,
    ngx_http_keyward_main_conf_t *kmcf);
uint64_t ngx_http_keyward_get_usable(ngx_http_keyward_engine_t *e);
uint64_t ngx_http_keyward_get_created(ngx_http_keyward_engine_t *e);
uint64_t ngx_http_keyward_get_age(ngx_http_keyward_engine_t *e);


extern ngx_module_t  ngx_http_keyward_module;


#endif /* NGX_HTTP_KEYWARD_H_INCLUDED_ */
