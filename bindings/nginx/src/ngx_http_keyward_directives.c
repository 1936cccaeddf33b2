/*
 * What stands behind each directive.
 */

#include "ngx_http_keyward.h"


static void ngx_http_keyward_note_place(ngx_conf_t *cf,
    ngx_http_keyward_setting_t *setting);


static void
ngx_http_keyward_note_place(ngx_conf_t *cf, ngx_http_keyward_setting_t *setting)
{
    if (cf->conf_file) {
        setting->file = cf->conf_file->file.name;
        setting->line = cf->conf_file->line;
    }
}


char *
ngx_http_keyward_set_path(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    char  *p = conf;

    ngx_str_t                   *value;
    ngx_http_keyward_setting_t  *setting;

    setting = (ngx_http_keyward_setting_t *) (p + cmd->offset);

    if (setting->value.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 0) {
        return "needs a path";
    }

    setting->value = value[1];
    ngx_http_keyward_note_place(cf, setting);

    if (ngx_conf_full_name(cf->cycle, &setting->value, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_keyward_set_state(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_keyward_loc_conf_t *klcf = conf;

    ngx_int_t   keys;
    ngx_str_t  *value;

    (void) cmd;

    if (klcf->state.value.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 0) {
        return "needs a path, or \"off\"";
    }

    ngx_http_keyward_note_place(cf, &klcf->state);

    if (cf->args->nelts == 3) {

        if (ngx_strncmp(value[2].data, "keys=", 5) != 0) {
            return "takes nothing but \"keys=NUMBER\" behind the path";
        }

        keys = ngx_atoi(value[2].data + 5, value[2].len - 5);

        if (keys == NGX_ERROR || keys == 0) {
            return "has an invalid number of keys";
        }

        klcf->state_keys = (ngx_uint_t) keys;
    }

    if (ngx_strcmp(value[1].data, "off") == 0) {
        ngx_str_set(&klcf->state.value, "");
        return NGX_CONF_OK;
    }

    klcf->state.value = value[1];

    if (ngx_conf_full_name(cf->cycle, &klcf->state.value, 1) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_keyward_set_realm(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_keyward_loc_conf_t *klcf = conf;

    ngx_str_t  *value;

    (void) cmd;

    if (klcf->realm.value.data) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 0) {
        return "needs the name of a realm, or \"off\"";
    }

    if (ngx_strcmp(value[1].data, "off") == 0) {
        ngx_str_set(&klcf->realm.value, "");

    } else {
        klcf->realm.value = value[1];
    }

    ngx_http_keyward_note_place(cf, &klcf->realm);

    return NGX_CONF_OK;
}


char *
ngx_http_keyward_set_environment(ngx_conf_t *cf, ngx_command_t *cmd,
    void *conf)
{
    ngx_http_keyward_loc_conf_t *klcf = conf;

    ngx_str_t                         *value;
    ngx_http_compile_complex_value_t   ccv;

    (void) cmd;

    if (klcf->environment != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (value[1].len == 0) {
        return "needs the name of an environment, or \"off\"";
    }

    klcf->environment_set.value = value[1];
    ngx_http_keyward_note_place(cf, &klcf->environment_set);

    if (ngx_strcmp(value[1].data, "off") == 0) {
        klcf->environment = NULL;
        return NGX_CONF_OK;
    }

    klcf->environment = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (klcf->environment == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = &value[1];
    ccv.complex_value = klcf->environment;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_keyward_set_tls(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_keyward_loc_conf_t *klcf = conf;

    ngx_str_t                         *value;
    ngx_http_compile_complex_value_t   ccv;

    (void) cmd;

    if (klcf->tls != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    klcf->tls = ngx_palloc(cf->pool, sizeof(ngx_http_complex_value_t));
    if (klcf->tls == NULL) {
        return NGX_CONF_ERROR;
    }

    ngx_memzero(&ccv, sizeof(ngx_http_compile_complex_value_t));

    ccv.cf = cf;
    ccv.value = &value[1];
    ccv.complex_value = klcf->tls;

    if (ngx_http_compile_complex_value(&ccv) != NGX_OK) {
        return NGX_CONF_ERROR;
    }

    return NGX_CONF_OK;
}


char *
ngx_http_keyward_set_scopes(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_keyward_loc_conf_t *klcf = conf;

    size_t          k;
    ngx_str_t      *value;
    ngx_uint_t      i;
    keyward_bytes  *scope;

    (void) cmd;

    if (klcf->scopes != NGX_CONF_UNSET_PTR) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (cf->args->nelts == 2 && ngx_strcmp(value[1].data, "off") == 0) {
        klcf->scopes = NULL;
        return NGX_CONF_OK;
    }

    klcf->scopes = ngx_array_create(cf->pool, cf->args->nelts - 1,
                                    sizeof(keyward_bytes));
    if (klcf->scopes == NULL) {
        return NGX_CONF_ERROR;
    }

    for (i = 1; i < cf->args->nelts; i++) {

        if (value[i].len == 0) {
            return "has an empty scope";
        }

        for (k = 0; k < value[i].len; k++) {
            if (value[i].data[k] < 0x20 || value[i].data[k] > 0x7e) {
                return "has a scope that is not printable ASCII";
            }
        }

        scope = ngx_array_push(klcf->scopes);
        if (scope == NULL) {
            return NGX_CONF_ERROR;
        }

        ngx_http_keyward_bytes(*scope, &value[i]);
    }

    return NGX_CONF_OK;
}


char *
ngx_http_keyward_set_reload(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_keyward_main_conf_t *kmcf = conf;

    ngx_str_t   *value;
    ngx_msec_t   interval;

    (void) cmd;

    if (kmcf->reload != NGX_CONF_UNSET_MSEC) {
        return "is duplicate";
    }

    value = cf->args->elts;

    if (ngx_strcmp(value[1].data, "off") == 0) {
        kmcf->reload = 0;
        return NGX_CONF_OK;
    }

    interval = ngx_parse_time(&value[1], 0);

    if (interval == (ngx_msec_t) NGX_ERROR) {
        return "has an invalid value";
    }

    if (interval < 10) {
        return "must be 10ms or more, or \"off\"";
    }

    kmcf->reload = interval;

    return NGX_CONF_OK;
}


char *
ngx_http_keyward_set_status(ngx_conf_t *cf, ngx_command_t *cmd, void *conf)
{
    ngx_http_keyward_loc_conf_t *klcf = conf;

    ngx_str_t                 *value;
    ngx_http_core_loc_conf_t  *clcf;

    (void) cmd;

    clcf = ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module);

    if (clcf->handler == ngx_http_keyward_status) {
        return "is duplicate";
    }

    if (cf->args->nelts == 2) {
        value = cf->args->elts;

        if (ngx_strcmp(value[1].data, "json") == 0) {
            klcf->status_format = NGX_HTTP_KEYWARD_STATUS_JSON;

        } else if (ngx_strcmp(value[1].data, "prometheus") == 0) {
            klcf->status_format = NGX_HTTP_KEYWARD_STATUS_PROMETHEUS;

        } else {
            return "takes \"json\", \"prometheus\" or nothing";
        }
    }

    clcf->handler = ngx_http_keyward_status;

    return NGX_CONF_OK;
}
