/*
 * Opens snapshots while the configuration is read: in the master, before
 * there are workers, so that `nginx -t` finds what is wrong with a file, and
 * so that workers need no right to read the keyring.
 */

#include "ngx_http_keyward.h"


static ngx_http_keyward_engine_t *ngx_http_keyward_find(ngx_conf_t *cf,
    ngx_http_keyward_loc_conf_t *conf);
static ngx_int_t ngx_http_keyward_check_version(ngx_conf_t *cf);
static ngx_http_keyward_setting_t *ngx_http_keyward_culprit(
    ngx_http_keyward_engine_t *engine, keyward_error *error);
static ngx_uint_t ngx_http_keyward_mentions(keyward_error *error, char *text);
static void ngx_http_keyward_close(void *data);
static ngx_int_t ngx_http_keyward_share(ngx_conf_t *cf,
    ngx_http_keyward_engine_t *engine);
static ngx_int_t ngx_http_keyward_init_zone(ngx_shm_zone_t *zone, void *data);
static ngx_uint_t ngx_http_keyward_conflicts(
    ngx_http_keyward_main_conf_t *old, ngx_http_keyward_engine_t *engine);


ngx_http_keyward_engine_t *
ngx_http_keyward_open(ngx_conf_t *cf, ngx_http_keyward_loc_conf_t *conf)
{
    int32_t                         rc;
    keyward_bytes                   snapshot, keyring;
    keyward_error                   error;
    keyward_options                 options;
    ngx_pool_cleanup_t             *cln;
    ngx_http_keyward_engine_t      *engine, **place;
    ngx_http_keyward_setting_t     *setting;
    ngx_http_keyward_main_conf_t   *kmcf;

    engine = ngx_http_keyward_find(cf, conf);
    if (engine) {
        return engine;
    }

    if (ngx_http_keyward_check_version(cf) != NGX_OK) {
        return NULL;
    }

    kmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_keyward_module);

    engine = ngx_pcalloc(cf->pool, sizeof(ngx_http_keyward_engine_t));
    if (engine == NULL) {
        return NULL;
    }

    engine->snapshot = conf->snapshot;
    engine->keyring = conf->keyring;
    engine->state = conf->state;

    cln = ngx_pool_cleanup_add(cf->pool, 0);
    if (cln == NULL) {
        return NULL;
    }

    place = ngx_array_push(&kmcf->engines);
    if (place == NULL) {
        return NULL;
    }

    ngx_memzero(&options, sizeof(keyward_options));

    /* all of it, so that -t finds all damage, and workers need not look */
    options.check = KEYWARD_CHECK_WHOLE;

    options.state_slots = conf->state_keys;

    if (engine->state.value.len) {
        ngx_http_keyward_bytes(options.state_path, &engine->state.value);

    } else {
        /* the workers that are forked from here count together */
        options.flags |= KEYWARD_STATE_INHERITED;
    }

    ngx_http_keyward_bytes(snapshot, &engine->snapshot.value);
    ngx_http_keyward_bytes(keyring, &engine->keyring.value);

    rc = keyward_open(snapshot, keyring, &options, sizeof(keyward_options),
                      &engine->handle, &error, sizeof(keyward_error));

    if (rc != KEYWARD_OK) {
        setting = ngx_http_keyward_culprit(engine, &error);

        ngx_log_error(NGX_LOG_EMERG, cf->log, 0, "keyward: %*s in %V:%ui",
                      (size_t) error.message_len, error.message,
                      &setting->file, setting->line);

        kmcf->engines.nelts--;
        return NULL;
    }

    cln->handler = ngx_http_keyward_close;
    cln->data = engine;

    if (keyward_info(engine->handle, &engine->info,
                     sizeof(keyward_engine_info))
        != KEYWARD_OK)
    {
        return NULL;
    }

    *place = engine;

    if (ngx_http_keyward_share(cf, engine) != NGX_OK) {
        return NULL;
    }

    return engine;
}


static ngx_http_keyward_engine_t *
ngx_http_keyward_find(ngx_conf_t *cf, ngx_http_keyward_loc_conf_t *conf)
{
    ngx_uint_t                      i;
    ngx_http_keyward_engine_t     **engines;
    ngx_http_keyward_main_conf_t   *kmcf;

    kmcf = ngx_http_conf_get_module_main_conf(cf, ngx_http_keyward_module);
    engines = kmcf->engines.elts;

    for (i = 0; i < kmcf->engines.nelts; i++) {

        if (ngx_http_keyward_equal(&engines[i]->snapshot.value,
                                   &conf->snapshot.value)
            && ngx_http_keyward_equal(&engines[i]->keyring.value,
                                      &conf->keyring.value)
            && ngx_http_keyward_equal(&engines[i]->state.value,
                                      &conf->state.value))
        {
            return engines[i];
        }
    }

    return NULL;
}


ngx_uint_t
ngx_http_keyward_equal(ngx_str_t *a, ngx_str_t *b)
{
    return a->len == b->len
           && (a->len == 0 || ngx_memcmp(a->data, b->data, a->len) == 0);
}


/* A shared library may be another one than that which the module was made for. */

static ngx_int_t
ngx_http_keyward_check_version(ngx_conf_t *cf)
{
    uint32_t  version;

    version = keyward_abi_version();

    if (version >> 16 == KEYWARD_ABI_VERSION >> 16
        && (version & 0xffff) >= (KEYWARD_ABI_VERSION & 0xffff))
    {
        return NGX_OK;
    }

    ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                  "keyward: this module needs the library's interface %d.%d, "
                  "and libkeyward %s has %uD.%uD",
                  KEYWARD_ABI_VERSION >> 16, KEYWARD_ABI_VERSION & 0xffff,
                  keyward_version(), version >> 16, version & 0xffff);

    return NGX_ERROR;
}


/* Which of its files a message is about. */

static ngx_http_keyward_setting_t *
ngx_http_keyward_culprit(ngx_http_keyward_engine_t *engine,
    keyward_error *error)
{
    if (ngx_http_keyward_mentions(error, "state file")) {
        return &engine->state;
    }

    if (ngx_http_keyward_mentions(error, (char *) engine->keyring.value.data))
    {
        return &engine->keyring;
    }

    return &engine->snapshot;
}


static ngx_uint_t
ngx_http_keyward_mentions(keyward_error *error, char *text)
{
    return ngx_strnstr((u_char *) error->message, text, error->message_len)
           != NULL;
}


static void
ngx_http_keyward_close(void *data)
{
    ngx_http_keyward_engine_t  *engine = data;

    (void) keyward_release(engine->handle);
    engine->handle = NULL;
}


/*
 * A zone of nginx's own for each snapshot, since such a zone outlives the
 * configuration: after `nginx -s reload` the new workers go on where the old
 * ones are.
 */

static ngx_int_t
ngx_http_keyward_share(ngx_conf_t *cf, ngx_http_keyward_engine_t *engine)
{
    size_t      len;
    ngx_str_t   name;

    len = sizeof("keyward:") - 1 + engine->snapshot.value.len;

    name.data = ngx_pnalloc(cf->pool, len + 1);
    if (name.data == NULL) {
        return NGX_ERROR;
    }

    name.len = ngx_sprintf(name.data, "keyward:%V%Z", &engine->snapshot.value)
               - name.data - 1;

    engine->zone = ngx_shared_memory_add(cf, &name, 8 * ngx_pagesize,
                                         &ngx_http_keyward_module);
    if (engine->zone == NULL) {
        return NGX_ERROR;
    }

    engine->zone->init = ngx_http_keyward_init_zone;
    engine->zone->data = ngx_http_conf_get_module_main_conf(cf,
                                                     ngx_http_keyward_module);

    return NGX_OK;
}


static ngx_int_t
ngx_http_keyward_init_zone(ngx_shm_zone_t *zone, void *data)
{
    ngx_http_keyward_main_conf_t  *kmcf = zone->data;

    uint32_t                        changed;
    ngx_uint_t                      i;
    ngx_slab_pool_t                *shpool;
    ngx_http_keyward_engine_t     **engines;
    ngx_http_keyward_shared_t      *shared;

    shpool = (ngx_slab_pool_t *) zone->shm.addr;

    if (data == NULL && !zone->shm.exists) {
        shpool->data = ngx_slab_calloc(shpool,
                                       sizeof(ngx_http_keyward_shared_t));
    }

    shared = shpool->data;

    if (shared == NULL) {
        return NGX_ERROR;
    }

    engines = kmcf->engines.elts;

    for (i = 0; i < kmcf->engines.nelts; i++) {

        if (engines[i]->zone != zone) {
            continue;
        }

        if (engines[i]->info.generation < shared->generation) {

            /* a worker may have been faster with a file that is new just now */

            (void) keyward_reload(engines[i]->handle, &changed, NULL, 0);
            (void) keyward_info(engines[i]->handle, &engines[i]->info,
                                sizeof(keyward_engine_info));
        }

        if (engines[i]->info.generation < shared->generation) {
            ngx_log_error(NGX_LOG_EMERG, zone->shm.log, 0,
                          "keyward: \"%V\" has generation %uL, and workers "
                          "decide from generation %uA: publish a newer one, "
                          "or restart nginx to go back, in %V:%ui",
                          &engines[i]->snapshot.value,
                          (uint64_t) engines[i]->info.generation,
                          shared->generation,
                          &engines[i]->snapshot.file,
                          engines[i]->snapshot.line);
            return NGX_ERROR;
        }

        if (ngx_http_keyward_conflicts(data, engines[i])) {
            ngx_log_error(NGX_LOG_EMERG, zone->shm.log, 0,
                          "keyward: \"%V\" has generation %uL with other bytes "
                          "than workers decide from: publish it with a new "
                          "generation, in %V:%ui",
                          &engines[i]->snapshot.value,
                          (uint64_t) engines[i]->info.generation,
                          &engines[i]->snapshot.file,
                          engines[i]->snapshot.line);
            return NGX_ERROR;
        }

        engines[i]->shared = shared;
    }

    return NGX_OK;
}


/*
 * Whether the running configuration decides from the same generation with
 * other bytes: a number says nothing of which of the two is the newer, so a key
 * that one of them refuses could come in again. The engine knows it of its
 * file. With different generations it is not asked: it would take the new one,
 * and this configuration may still be refused.
 */

static ngx_uint_t
ngx_http_keyward_conflicts(ngx_http_keyward_main_conf_t *old,
    ngx_http_keyward_engine_t *engine)
{
    uint32_t                     changed;
    ngx_uint_t                   i;
    keyward_engine_info          info;
    ngx_http_keyward_engine_t  **engines;

    if (old == NULL) {
        return 0;
    }

    engines = old->engines.elts;

    for (i = 0; i < old->engines.nelts; i++) {

        if (!ngx_http_keyward_equal(&engines[i]->snapshot.value,
                                    &engine->snapshot.value))
        {
            continue;
        }

        if (keyward_info(engines[i]->handle, &info, sizeof(info)) == KEYWARD_OK
            && info.generation == engine->info.generation
            && keyward_reload(engines[i]->handle, &changed, NULL, 0)
               == KEYWARD_E_CONFLICT)
        {
            return 1;
        }
    }

    return 0;
}


/* What can be said of a location before any request. */

ngx_int_t
ngx_http_keyward_check_conf(ngx_conf_t *cf, ngx_http_keyward_loc_conf_t *conf)
{
    int32_t                      rc;
    keyward_bytes                realm, environment;
    ngx_http_keyward_setting_t  *set;

    if (conf->realm.value.len == 0) {
        return NGX_OK;
    }

    set = &conf->realm;

    if (conf->engine == NULL) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "\"keyward %V\" needs \"%s\" in %V:%ui",
                      &set->value,
                      conf->snapshot.value.data ? "keyward_keyring"
                                                : "keyward_snapshot",
                      &set->file, set->line);
        return NGX_ERROR;
    }

    ngx_http_keyward_bytes(realm, &set->value);

    rc = keyward_check_realm(conf->engine->handle, realm);

    if (rc != KEYWARD_OK) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "keyward: \"%V\" has no realm \"%V\" in %V:%ui",
                      &conf->engine->snapshot.value, &set->value,
                      &set->file, set->line);
        return NGX_ERROR;
    }

    if (conf->environment == NULL || conf->environment->lengths) {
        return NGX_OK;
    }

    set = &conf->environment_set;

    ngx_http_keyward_bytes(environment, &set->value);

    rc = keyward_check_environment(conf->engine->handle, realm, environment);

    if (rc != KEYWARD_OK) {
        ngx_log_error(NGX_LOG_EMERG, cf->log, 0,
                      "keyward: the realm \"%V\" of \"%V\" has no "
                      "environment \"%V\" in %V:%ui",
                      &conf->realm.value, &conf->engine->snapshot.value,
                      &set->value, &set->file, set->line);
        return NGX_ERROR;
    }

    return NGX_OK;
}


/* In the event loop: says what changed, once. */

void
ngx_http_keyward_adopt(ngx_http_keyward_engine_t *engine,
    keyward_engine_info *info, ngx_log_t *log)
{
    keyward_engine_info  *known;

    known = &engine->info;

    if (info->flags == 0) {
        return;
    }

    if (info->generation != known->generation) {
        ngx_log_error(NGX_LOG_NOTICE, log, 0,
                      "keyward: generation %uL of \"%V\" has taken over",
                      info->generation, &engine->snapshot.value);
    }

    if (info->last_error
        && (info->last_error_message_len != known->last_error_message_len
            || ngx_memcmp(info->last_error_message, known->last_error_message,
                          info->last_error_message_len)
               != 0))
    {
        ngx_log_error(NGX_LOG_ERR, log, 0,
                      "keyward: going on with generation %uL of \"%V\": %*s",
                      info->generation, &engine->snapshot.value,
                      (size_t) info->last_error_message_len,
                      info->last_error_message);
    }

    if (known->last_error && info->last_error == 0
        && info->generation == known->generation)
    {
        ngx_log_error(NGX_LOG_NOTICE, log, 0,
                      "keyward: \"%V\" is good again, at generation %uL",
                      &engine->snapshot.value, info->generation);
    }

    *known = *info;

    /*
     * With a generation that is older than what others had decided from before
     * this worker was there, keys that they refused would come in again.
     */

    engine->stale = (info->generation < engine->floor);
}
