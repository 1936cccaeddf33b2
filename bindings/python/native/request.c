/* Python's objects as the library's request: in place, nothing is copied. */
#include "native.h"

#include <stddef.h>
#include <string.h>

static int wrong_type(const char *what, const char *expected, PyObject *object)
{
    PyObject *name = PyObject_GetAttrString((PyObject *)Py_TYPE(object), "__name__");
    if (name != NULL) {
        PyErr_Format(PyExc_TypeError, "%s has to be %s, not %U", what, expected, name);
        Py_DECREF(name);
    }
    return -1;
}

/* Its UTF-8, which Python keeps with the object. */
static int utf8(PyObject *object, keyward_bytes *into, const char *what)
{
    Py_ssize_t length;
    const char *data = PyUnicode_AsUTF8AndSize(object, &length);
    if (data == NULL) {
        /* Python's own error would hold the whole text, which may be a secret. */
        PyErr_Clear();
        PyErr_Format(PyExc_ValueError, "%s has a lone surrogate, which UTF-8 does not have", what);
        return -1;
    }
    into->data = (const uint8_t *)data;
    into->len = (size_t)length;
    return 0;
}

/* Of bytes, which the caller has looked at. */
static int plain(PyObject *object, keyward_bytes *into)
{
    into->data = (const uint8_t *)PyBytes_AsString(object);
    into->len = (size_t)Py_SIZE(object);
    return 0;
}

int text(PyObject *object, keyward_bytes *into, const char *what)
{
    if (!IS_TEXT(object))
        return wrong_type(what, "str", object);
    return utf8(object, into, what);
}

int octets(PyObject *object, keyward_bytes *into, const char *what)
{
    if (IS_BYTES(object))
        return plain(object, into);
    if (!IS_TEXT(object))
        return wrong_type(what, "str or bytes", object);
    return utf8(object, into, what);
}

/* A header's name or value. Python's servers write its bytes as Latin-1, where they do not hand over bytes. */
static int header_text(marshalled *request, PyObject *object, keyward_bytes *into, const char *what)
{
    PyObject *encoded;
    if (IS_BYTES(object))
        return plain(object, into);
    if (!IS_TEXT(object))
        return wrong_type(what, "bytes or str", object);
    if (utf8(object, into, what) < 0)
        return -1;
    if (into->len == (size_t)PyUnicode_GetLength(object))
        return 0;
    encoded = PyUnicode_AsLatin1String(object);
    if (encoded == NULL) {
        PyErr_Clear();
        PyErr_Format(PyExc_ValueError, "%s has a character that Latin-1 does not have; hand in bytes", what);
        return -1;
    }
    if (request->kept == NULL)
        request->kept = PyList_New(0);
    if (request->kept == NULL || PyList_Append(request->kept, encoded) < 0) {
        Py_DECREF(encoded);
        return -1;
    }
    Py_DECREF(encoded); /* the list has it */
    return plain(encoded, into);
}

/* The length of a list or a tuple, tuples first: pairs are; -1 with an exception where it is neither. */
static Py_ssize_t length_of(PyObject *sequence, const char *what, const char *expected)
{
    if (IS_TUPLE(sequence) || IS_LIST(sequence))
        return Py_SIZE(sequence);
    return wrong_type(what, expected, sequence);
}

typedef PyObject *(*indexed)(PyObject *, Py_ssize_t);

/* What gets an item, borrowed, of a list or tuple. */
static indexed indexed_by(PyObject *sequence)
{
    return IS_TUPLE(sequence) ? PyTuple_GetItem : PyList_GetItem;
}

/* What servers hand over: a tuple of two bytes. 0 where it is anything else. */
static inline int plain_header(PyObject *field, keyward_header *into)
{
    PyObject *name, *value;
    if (Py_TYPE(field) != &PyTuple_Type || Py_SIZE(field) != 2)
        return 0;
    name = PyTuple_GetItem(field, 0);
    value = PyTuple_GetItem(field, 1);
    if (Py_TYPE(name) != &PyBytes_Type || Py_TYPE(value) != &PyBytes_Type)
        return 0;
    plain(name, &into->name);
    plain(value, &into->value);
    return 1;
}

static int marshal_header(marshalled *into, PyObject *field, keyward_header *header)
{
    static const char pair[] = "a tuple or list of a name and a value";
    Py_ssize_t parts = length_of(field, "a header", pair);
    indexed get;
    if (parts < 0)
        return -1;
    if (parts != 2) {
        PyErr_Format(PyExc_TypeError, "a header has to be %s, not of %zd", pair, parts);
        return -1;
    }
    get = indexed_by(field);
    if (header_text(into, get(field, 0), &header->name, "a header's name") < 0)
        return -1;
    return header_text(into, get(field, 1), &header->value, "a header's value");
}

static int marshal_headers(marshalled *into, PyObject *list)
{
    Py_ssize_t count = length_of(list, "headers", "a list or tuple of pairs"), at;
    keyward_header *headers = into->headers;
    indexed get;
    if (count < 0)
        return -1;
    if (count > INLINE_HEADERS) {
        headers = into->more_headers = PyMem_Calloc((size_t)count, sizeof *headers);
        if (headers == NULL) {
            PyErr_NoMemory();
            return -1;
        }
    }
    get = indexed_by(list);
    for (at = 0; at < count; ++at) {
        PyObject *field = get(list, at);
        if (field == NULL || (!plain_header(field, &headers[at]) && marshal_header(into, field, &headers[at]) < 0))
            return -1;
    }
    into->request.headers = headers;
    into->request.header_count = (size_t)count;
    return 0;
}

static int marshal_scopes(marshalled *into, PyObject *list)
{
    Py_ssize_t count = length_of(list, "scopes", "a list or tuple of str"), at;
    keyward_bytes *scopes = into->scopes;
    indexed get;
    if (count < 0)
        return -1;
    if (count > INLINE_SCOPES) {
        scopes = into->more_scopes = PyMem_Calloc((size_t)count, sizeof *scopes);
        if (scopes == NULL) {
            PyErr_NoMemory();
            return -1;
        }
    }
    get = indexed_by(list);
    for (at = 0; at < count; ++at)
        if (text(get(list, at), &scopes[at], "a scope") < 0)
            return -1;
    into->request.scopes = scopes;
    into->request.scope_count = (size_t)count;
    return 0;
}

static int marshal_now(marshalled *into, PyObject *now)
{
    const long long second = 1000000000;
    long long nanoseconds;
    if (!PyLong_Check(now) || PyBool_Check(now))
        return wrong_type("now_ns", "int", now);
    nanoseconds = PyLong_AsLongLong(now);
    if (nanoseconds < 0) {
        PyErr_Clear();
        PyErr_SetString(PyExc_ValueError, "now_ns has to be nanoseconds since 1970, as time.time_ns() has them");
        return -1;
    }
    into->request.now_seconds = (uint64_t)(nanoseconds / second);
    into->request.now_nanoseconds = (uint32_t)(nanoseconds % second);
    into->request.flags |= KEYWARD_HAS_NOW;
    return 0;
}

/* Not what Python takes for true: tls="off" must not count as TLS. */
static int flag(PyObject *object, int *into, const char *what)
{
    if (object != Py_True && object != Py_False)
        return wrong_type(what, "bool", object);
    *into = object == Py_True;
    return 0;
}

/* The compiler refuses this where a request has fields that clear does not know. */
typedef char whole_request[sizeof(keyward_request) == offsetof(keyward_request, scopes_capacity) + sizeof(size_t) ? 1 : -1];

/* One field after the other: of a memset of this size compilers make one instruction, which is slow to start. */
static inline void clear(keyward_request *request)
{
    static const keyward_bytes nothing = {NULL, 0};
    request->flags = 0;
    request->peer_family = KEYWARD_PEER_TEXT;
    request->realm = nothing;
    request->method = nothing;
    request->path = nothing;
    request->host = nothing;
    request->environment = nothing;
    request->headers = NULL;
    request->header_count = 0;
    request->scopes = NULL;
    request->scope_count = 0;
    request->peer = nothing;
    memset(request->peer_address, 0, sizeof request->peer_address);
    request->now_seconds = 0;
    request->now_nanoseconds = 0;
    request->reserved = 0;
    request->scopes_buffer = NULL;
    request->scopes_capacity = 0;
}

int marshal(marshalled *into, PyObject *const fields[FIELDS])
{
    keyward_request *request = &into->request;
    int tls = 0;
    clear(request);
    into->realm = fields[FIELD_REALM];
    into->wants_scopes = 0;
    into->kept = NULL;
    into->more_headers = into->more_scopes = NULL;

    if (text(fields[FIELD_REALM], &request->realm, "realm") < 0 ||
        flag(fields[FIELD_TLS], &tls, "tls") < 0 ||
        flag(fields[FIELD_LIST_SCOPES], &into->wants_scopes, "list_scopes") < 0)
        return -1;
    if (tls)
        request->flags |= KEYWARD_TLS;
    if (fields[FIELD_PATH] == Py_None)
        request->flags |= KEYWARD_NO_ROUTING;
    else if (octets(fields[FIELD_PATH], &request->path, "path") < 0)
        return -1;
    if (fields[FIELD_METHOD] != Py_None && octets(fields[FIELD_METHOD], &request->method, "method") < 0)
        return -1;
    if (fields[FIELD_HOST] != Py_None && octets(fields[FIELD_HOST], &request->host, "host") < 0)
        return -1;
    if (fields[FIELD_PEER] != Py_None && octets(fields[FIELD_PEER], &request->peer, "peer") < 0)
        return -1;
    if (fields[FIELD_ENVIRONMENT] != Py_None &&
        text(fields[FIELD_ENVIRONMENT], &request->environment, "environment") < 0)
        return -1;
    if (fields[FIELD_NOW_NS] != Py_None && marshal_now(into, fields[FIELD_NOW_NS]) < 0)
        return -1;
    if (marshal_headers(into, fields[FIELD_HEADERS]) < 0)
        return -1;
    return marshal_scopes(into, fields[FIELD_SCOPES]);
}

void finish(marshalled *into)
{
    Py_CLEAR(into->kept);
    PyMem_Free(into->more_headers);
    PyMem_Free(into->more_scopes);
    into->more_headers = into->more_scopes = NULL;
}
