/* What keyward.Engine is made on: the handle, and what is asked of it for each request. */
#include "native.h"

#include <stdint.h>
#include <string.h>

typedef struct engine_object {
    PyObject_HEAD
    /* NULL: closed. */
    keyward_engine *engine;
} engine_object;

static keyward_engine *opened(PyObject *self)
{
    keyward_engine *engine = ((engine_object *)self)->engine;
    if (engine == NULL)
        raise_closed();
    return engine;
}

/* Calls the library, and makes an object of what it decided. With `key`, that is all that is presented. */
static PyObject *decide(PyObject *self, marshalled *call, const keyward_bytes *key)
{
    keyward_verdict verdict;
    char scopes[SCOPES_CAPACITY];
    keyward_engine *engine = opened(self);
    int32_t status;
    if (engine == NULL)
        return NULL;
    if (call->wants_scopes) {
        call->request.scopes_buffer = scopes;
        call->request.scopes_capacity = sizeof scopes;
    }
    status = key == NULL ? keyward_verify(engine, &call->request, sizeof call->request, &verdict, sizeof verdict)
                         : keyward_verify_key(engine, *key, &call->request, sizeof call->request, &verdict,
                                              sizeof verdict);
    if (status != KEYWARD_OK)
        return raise_status(status, NULL);
    return new_verdict(&verdict, call->realm, call->wants_scopes ? scopes : NULL);
}

static int fields_of(PyObject *request, PyObject *fields[FIELDS])
{
    Py_ssize_t at;
    if ((Py_TYPE(request) != request_type && !PyType_IsSubtype(Py_TYPE(request), request_type)) || Py_SIZE(request) != FIELDS) {
        PyErr_SetString(PyExc_TypeError, "request has to be a keyward.Request");
        return -1;
    }
    for (at = 0; at < FIELDS; ++at)
        fields[at] = PyTuple_GetItem(request, at);
    return 0;
}

static PyObject *verify(PyObject *self, PyObject *request)
{
    marshalled call;
    PyObject *fields[FIELDS], *verdict = NULL;
    if (fields_of(request, fields) < 0)
        return NULL;
    if (marshal(&call, fields) == 0)
        verdict = decide(self, &call, NULL);
    finish(&call);
    return verdict;
}

/* The parameters of verify_key that have names: all but the headers. */
static struct {
    const char *name;
    enum field field;
    PyObject *interned;
} names[] = {
    {"environment", FIELD_ENVIRONMENT, NULL}, {"scopes", FIELD_SCOPES, NULL}, {"path", FIELD_PATH, NULL},
    {"method", FIELD_METHOD, NULL},           {"host", FIELD_HOST, NULL},     {"peer", FIELD_PEER, NULL},
    {"tls", FIELD_TLS, NULL},                 {"now_ns", FIELD_NOW_NS, NULL}, {"list_scopes", FIELD_LIST_SCOPES, NULL},
};
#define NAMES (sizeof names / sizeof names[0])

static int intern_names(void)
{
    size_t at;
    for (at = 0; at < NAMES; ++at)
        if (names[at].interned == NULL && (names[at].interned = PyUnicode_InternFromString(names[at].name)) == NULL)
            return -1;
    return 0;
}

static int named(PyObject *name, PyObject *value, PyObject *fields[FIELDS])
{
    size_t at;
    /* The names in a program's text are interned, those of **parameters may not be. */
    for (at = 0; at < NAMES && name != names[at].interned; ++at)
        ;
    if (at == NAMES)
        for (at = 0; at < NAMES && PyUnicode_CompareWithASCIIString(name, names[at].name) != 0; ++at)
            ;
    if (at == NAMES) {
        PyErr_Format(PyExc_TypeError, "verify_key() has no parameter %R", name);
        return -1;
    }
    fields[names[at].field] = value;
    return 0;
}

static PyObject *verify_key(PyObject *self, PyObject *const *arguments, Py_ssize_t count, PyObject *keywords)
{
    static PyObject *nothing;
    marshalled call;
    keyward_bytes key = {NULL, 0};
    PyObject *fields[FIELDS], *verdict = NULL;
    Py_ssize_t at, keyword_count = keywords == NULL ? 0 : PyTuple_Size(keywords);
    if (nothing == NULL && (nothing = PyTuple_New(0)) == NULL)
        return NULL;
    if (count != 2) {
        PyErr_Format(PyExc_TypeError, "verify_key() takes a realm and a key, and everything else by its name: not %zd",
                     count);
        return NULL;
    }
    for (at = 0; at < FIELDS; ++at)
        fields[at] = Py_None;
    fields[FIELD_REALM] = arguments[0];
    fields[FIELD_HEADERS] = fields[FIELD_SCOPES] = nothing;
    fields[FIELD_TLS] = Py_True;
    fields[FIELD_LIST_SCOPES] = Py_False;
    for (at = 0; at < keyword_count; ++at)
        if (named(PyTuple_GetItem(keywords, at), arguments[count + at], fields) < 0)
            return NULL;
    if (octets(arguments[1], &key, "key") < 0)
        return NULL;
    if (marshal(&call, fields) == 0)
        verdict = decide(self, &call, &key);
    finish(&call);
    return verdict;
}

/* (verdict, token or None) */
static PyObject *issue_token(PyObject *self, PyObject *arguments)
{
    static char token[KEYWARD_TOKEN_SIZE]; /* the GIL is held all the time */
    marshalled call;
    keyward_verdict verdict;
    keyward_error error;
    keyward_token_options options;
    keyward_engine *engine;
    PyObject *request, *credential, *kid, *subject, *fields[FIELDS], *made = NULL, *result = NULL;
    size_t length = 0;
    int32_t status;
    memset(&options, 0, sizeof options);
    if (!PyArg_ParseTuple(arguments, "OOOO", &request, &credential, &kid, &subject) || fields_of(request, fields) < 0 ||
        (credential != Py_None && text(credential, &options.credential, "credential") < 0) ||
        (kid != Py_None && text(kid, &options.kid, "kid") < 0) ||
        (subject != Py_None && text(subject, &options.subject, "subject") < 0))
        return NULL;
    engine = opened(self);
    if (engine != NULL && marshal(&call, fields) == 0) {
        status = keyward_issue_token(engine, &call.request, sizeof call.request, &options, sizeof options, &verdict,
                                     sizeof verdict, token, sizeof token, &length, &error, sizeof error);
        if (status != KEYWARD_OK && status != KEYWARD_E_DENIED)
            raise_status(status, error.message);
        else if ((made = new_verdict(&verdict, call.realm, NULL)) != NULL)
            result = status == KEYWARD_OK ? Py_BuildValue("(Ns#)", made, token, (Py_ssize_t)length)
                                          : Py_BuildValue("(NO)", made, Py_None);
        finish(&call);
    } else if (engine != NULL)
        finish(&call);
    memset(token, 0, sizeof token);
    return result;
}

/* Bytes as a str of Latin-1, as Python's servers have header fields; None where there is none. */
static PyObject *latin1(keyward_bytes bytes)
{
    if (bytes.data == NULL)
        Py_RETURN_NONE;
    return PyUnicode_DecodeLatin1((const char *)bytes.data, (Py_ssize_t)bytes.len, "strict");
}

/* (status, headers, content type, body) */
static PyObject *rendered(const keyward_response *response)
{
    PyObject *headers = PyTuple_New((Py_ssize_t)response->header_count), *body;
    uint32_t at;
    if (headers == NULL)
        return NULL;
    for (at = 0; at < response->header_count; ++at) {
        PyObject *pair = Py_BuildValue("(NN)", latin1(response->headers[at].name), latin1(response->headers[at].value));
        if (pair == NULL || PyTuple_SetItem(headers, (Py_ssize_t)at, pair) < 0) {
            Py_DECREF(headers);
            return NULL;
        }
    }
    body = response->body.data == NULL
               ? Py_BuildValue("")
               : PyBytes_FromStringAndSize((const char *)response->body.data, (Py_ssize_t)response->body.len);
    return Py_BuildValue("(INNN)", (unsigned)response->status, headers, latin1(response->content_type), body);
}

static PyObject *answer(PyObject *self, PyObject *object)
{
    keyward_verdict verdict;
    keyward_response response;
    keyward_bytes realm;
    uint8_t buffer[4096], *larger;
    size_t needed = 0;
    keyward_engine *engine = opened(self);
    PyObject *of, *result;
    int32_t status;
    if (engine == NULL || (of = restored_verdict(object, &verdict)) == NULL || text(of, &realm, "realm") < 0)
        return NULL;
    status = keyward_answer(engine, realm, &verdict, sizeof verdict, &response, sizeof response, buffer, sizeof buffer,
                            &needed);
    if (status == KEYWARD_OK)
        return rendered(&response);
    if (status != KEYWARD_E_BUFFER)
        return raise_status(status, NULL);
    if ((larger = PyMem_Malloc(needed)) == NULL)
        return PyErr_NoMemory();
    status = keyward_answer(engine, realm, &verdict, sizeof verdict, &response, sizeof response, larger, needed, NULL);
    result = status == KEYWARD_OK ? rendered(&response) : raise_status(status, NULL);
    PyMem_Free(larger);
    return result;
}

static PyObject *adopt(PyObject *self, PyObject *address)
{
    void *engine = PyLong_AsVoidPtr(address);
    if (engine == NULL && PyErr_Occurred())
        return NULL;
    if (((engine_object *)self)->engine != NULL) {
        PyErr_SetString(PyExc_RuntimeError, "the object has an engine already");
        return NULL;
    }
    ((engine_object *)self)->engine = engine;
    Py_RETURN_NONE;
}

/* The address, with a hold of its own: others may close the engine while a call without the GIL is under way. */
static PyObject *retained(PyObject *self, PyObject *nothing)
{
    keyward_engine *engine = opened(self);
    int32_t status;
    (void)nothing;
    if (engine == NULL)
        return NULL;
    status = keyward_retain(engine);
    return status == KEYWARD_OK ? PyLong_FromVoidPtr(engine) : raise_status(status, NULL);
}

/* The address, for whoever releases it; 0 where it is closed. */
static PyObject *give_up(PyObject *self, PyObject *nothing)
{
    keyward_engine *engine = ((engine_object *)self)->engine;
    (void)nothing;
    ((engine_object *)self)->engine = NULL;
    return PyLong_FromVoidPtr(engine);
}

static PyObject *get_closed(PyObject *self, void *closure)
{
    (void)closure;
    return PyBool_FromLong(((engine_object *)self)->engine == NULL);
}

static void dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    keyward_release(((engine_object *)self)->engine);
    release(self);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"verify", verify, METH_O,
     "verify($self, request, /)\n--\n\n"
     "Decides one request. It takes no lock and makes no system call; an event loop may call it."},
    {"verify_key", (PyCFunction)(void (*)(void))verify_key, METH_FASTCALL | METH_KEYWORDS,
     "verify_key($self, realm, key, /, *, environment=None, scopes=(), path=None, method=None, host=None, peer=None, "
     "tls=True, now_ns=None, list_scopes=False)\n--\n\n"
     "Decides about a key by itself, which was taken from a message, a connection or the like.\n\n"
     "It is decided as if the key stood where the realm takes its key from. Without a path the request is not\n"
     "routed: what the realm requires by default counts, and the scopes that are named here."},
    {"_issue_token", issue_token, METH_VARARGS, NULL},
    {"_answer", answer, METH_O, NULL},
    {"_adopt", adopt, METH_O, NULL},
    {"_retained", retained, METH_NOARGS, NULL},
    {"_give_up", give_up, METH_NOARGS, NULL},
    {NULL, NULL, 0, NULL},
};

static PyGetSetDef properties[] = {
    {"closed", get_closed, NULL, "Whether close() was called.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyTypeObject *make_engine_type(void)
{
    static PyType_Slot slots[] = {
        {Py_tp_doc, "The handle of an engine: see keyward.Engine."},
        {Py_tp_dealloc, (void *)dealloc},
        {Py_tp_methods, methods},
        {Py_tp_getset, properties},
        {0, NULL},
    };
    static PyType_Spec spec = {
        "keyward._native.Handle", sizeof(engine_object), 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots,
    };
    return intern_names() < 0 ? NULL : (PyTypeObject *)PyType_FromSpec(&spec);
}
