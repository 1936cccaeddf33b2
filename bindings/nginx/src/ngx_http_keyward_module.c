/*
 * The table of directives, and how they merge.
 */

#include "ngx_http_keyward.h"


static void *ngx_http_keyward_create_main_conf(ngx_conf_t *cf);
static char *ngx_http_keyward_init_main_conf(ngx_conf_t *cf, void *conf);
static void *ngx_http_keyward_create_loc_conf(ngx_conf_t *cf);
static char *ngx_http_keyward_merge_loc_conf(ngx_conf_t *cf, void *parent,
    void *child);
static ngx_int_t ngx_http_keyward_init(ngx_conf_t *cf);


#define NGX_HTTP_KEYWARD_ANY_CONF                                             \
    (NGX_HTTP_MAIN_CONF|NGX_HTTP_SRV_CONF|NGX_HTTP_LOC_CONF)


static ngx_command_t  ngx_http_keyward_commands[] = {

    { ngx_string("keyward_snapshot"),
      NGX_HTTP_KEYWARD_ANY_CONF|NGX_CONF_TAKE1,
      ngx_http_keyward_set_path,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_keyward_loc_conf_t, snapshot),
      NULL },

    { ngx_string("keyward_keyring"),
      NGX_HTTP_KEYWARD_ANY_CONF|NGX_CONF_TAKE1,
      ngx_http_keyward_set_path,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_keyward_loc_conf_t, keyring),
      NULL },

    { ngx_string("keyward_state"),
      NGX_HTTP_KEYWARD_ANY_CONF|NGX_CONF_TAKE12,
      ngx_http_keyward_set_state,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("keyward_reload"),
      NGX_HTTP_MAIN_CONF|NGX_CONF_TAKE1,
      ngx_http_keyward_set_reload,
      NGX_HTTP_MAIN_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("keyward"),
      NGX_HTTP_KEYWARD_ANY_CONF|NGX_HTTP_LMT_CONF|NGX_CONF_TAKE1,
      ngx_http_keyward_set_realm,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("keyward_environment"),
      NGX_HTTP_KEYWARD_ANY_CONF|NGX_HTTP_LMT_CONF|NGX_CONF_TAKE1,
      ngx_http_keyward_set_environment,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("keyward_scopes"),
      NGX_HTTP_KEYWARD_ANY_CONF|NGX_HTTP_LMT_CONF|NGX_CONF_1MORE,
      ngx_http_keyward_set_scopes,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("keyward_tls"),
      NGX_HTTP_KEYWARD_ANY_CONF|NGX_CONF_TAKE1,
      ngx_http_keyward_set_tls,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

    { ngx_string("keyward_hide_credentials"),
      NGX_HTTP_KEYWARD_ANY_CONF|NGX_CONF_FLAG,
      ngx_conf_set_flag_slot,
      NGX_HTTP_LOC_CONF_OFFSET,
      offsetof(ngx_http_keyward_loc_conf_t, hide),
      NULL },

    { ngx_string("keyward_status"),
      NGX_HTTP_LOC_CONF|NGX_CONF_NOARGS|NGX_CONF_TAKE1,
      ngx_http_keyward_set_status,
      NGX_HTTP_LOC_CONF_OFFSET,
      0,
      NULL },

      ngx_null_command
};


static ngx_http_module_t  ngx_http_keyward_module_ctx = {
    ngx_http_keyward_add_variables,        /* preconfiguration */
    ngx_http_keyward_init,                 /* postconfiguration */

    ngx_http_keyward_create_main_conf,     /* create main configuration */
    ngx_http_keyward_init_main_conf,       /* init main configuration */

    NULL,                                  /* create server configuration */
    NULL,                                  /* merge server configuration */

    ngx_http_keyward_create_loc_conf,      /* create location configuration */
    ngx_http_keyward_merge_loc_conf        /* merge location configuration */
};


ngx_module_t  ngx_http_keyward_module = {
    NGX_MODULE_V1,
    &ngx_http_keyward_module_ctx,          /* module context */
    ngx_http_keyward_commands,             /* module directives */
    NGX_HTTP_MODULE,                       /* module type */
    NULL,                                  /* init master */
    ngx_http_keyward_init_module,          /* init module */
    ngx_http_keyward_init_process,         /* init process */
    NULL,                                  /* init thread */
    NULL,                                  /* exit thread */
    NULL,                                  /* exit process */
    NULL,                                  /* exit master */
    NGX_MODULE_V1_PADDING
};


static void *
ngx_http_keyward_create_main_conf(ngx_conf_t *cf)
{
    ngx_http_keyward_main_conf_t  *kmcf;

    kmcf = ngx_pcalloc(cf->pool, sizeof(ngx_http_keyward_main_conf_t));
    if (kmcf == NULL) {
        return NULL;
    }

    if (ngx_array_init(&kmcf->engines, cf->pool, 1,
                       sizeof(ngx_http_keyward_engine_t *))
        != NGX_OK)
    {
        return NULL;
    }

    kmcf->reload = NGX_CONF_UNSET_MSEC;

    return kmcf;
}


static char *
ngx_http_keyward_init_main_conf(ngx_conf_t *cf, void *conf)
{
    ngx_http_keyward_main_conf_t *kmcf = conf;

    (void) cf;

    ngx_conf_init_msec_value(kmcf->reload, 100);

    return NGX_CONF_OK;
}


static void *
ngx_http_keyward_create_loc_conf(ngx_conf_t *cf)
{
    ngx_http_keyward_loc_conf_t  *conf;

    conf = ngx_pcalloc(cf->pool, sizeof(ngx_http_keyward_loc_conf_t));
    if (conf == NULL) {
        return NULL;
    }

    /*
     * set by ngx_pcalloc(): every setting's value is { 0, NULL },
     * status_format is 0, engine is NULL
     */

    conf->environment = NGX_CONF_UNSET_PTR;
    conf->tls = NGX_CONF_UNSET_PTR;
    conf->scopes = NGX_CONF_UNSET_PTR;
    conf->hide = NGX_CONF_UNSET;

    return conf;
}


static void
ngx_http_keyward_merge_setting(ngx_http_keyward_setting_t *conf,
    ngx_http_keyward_setting_t *prev)
{
    if (conf->value.data == NULL) {
        *conf = *prev;
    }
}


static char *
ngx_http_keyward_merge_loc_conf(ngx_conf_t *cf, void *parent, void *child)
{
    ngx_http_keyward_loc_conf_t *prev = parent;
    ngx_http_keyward_loc_conf_t *conf = child;

    ngx_http_keyward_merge_setting(&conf->snapshot, &prev->snapshot);
    ngx_http_keyward_merge_setting(&conf->keyring, &prev->keyring);

    if (conf->state.value.data == NULL) {
        conf->state = prev->state;
        conf->state_keys = prev->state_keys;
    }

    ngx_http_keyward_merge_setting(&conf->realm, &prev->realm);
    ngx_http_keyward_merge_setting(&conf->environment_set,
                                   &prev->environment_set);

    ngx_conf_merge_ptr_value(conf->environment, prev->environment, NULL);
    ngx_conf_merge_ptr_value(conf->tls, prev->tls, NULL);
    ngx_conf_merge_ptr_value(conf->scopes, prev->scopes, NULL);
    ngx_conf_merge_value(conf->hide, prev->hide, 0);

    /* also where no realm is on, so that -t finds what is wrong with a file */

    if (conf->snapshot.value.data && conf->keyring.value.data) {
        conf->engine = ngx_http_keyward_open(cf, conf);
        if (conf->engine == NULL) {
            return NGX_CONF_ERROR;
        }
    }

    if (ngx_http_keyward_check_conf(cf, conf) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


static ngx_int_t
ngx_http_keyward_init(ngx_conf_t *cf)
{
    ngx_str_t                      name;
    ngx_http_keyward_main_conf_t  *kmcf;

    kmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_keyward_module);

    ngx_str_set(&name, "remote_user");

    kmcf->remote_user = ngx_http_get_variable_index(cf, &name);
    if (kmcf->remote_user == NGX_ERROR) {
        return NGX_ERROR;
    }

    ngx_http_keyward_init_filters();

    return ngx_http_keyward_init_phases(cf);
}
