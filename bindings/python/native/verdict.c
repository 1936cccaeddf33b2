/* keyward.Verdict: what was decided, in an object as long as its texts. */
#include "native.h"

#include <stddef.h>
#include <string.h>

#define HEAD offsetof(keyward_verdict, key_id)
#define NO_SCOPES UINT32_MAX

typedef struct verdict_object {
    PyObject_VAR_HEAD
    PyObject *realm;
    /* The fields before the texts, as the library wrote them. */
    union {
        uint64_t aligned;
        char bytes[HEAD];
    } head;
    /* NO_SCOPES where nobody asked for them, or they did not fit. */
    uint32_t scopes_len;
    /* key_id, environment, tenant, scope, subject, scopes; each without a NUL. */
    char texts[];
} verdict_object;

PyTypeObject *verdict_type;

static const keyward_verdict *head_of(PyObject *self)
{
    return (const keyward_verdict *)(const void *)((verdict_object *)self)->head.bytes;
}

/* The texts that are in the struct, in their order. */
static const struct {
    size_t length;
    size_t text;
    size_t capacity;
} texts[] = {
#define TEXT(name) {offsetof(keyward_verdict, name##_len), offsetof(keyward_verdict, name), \
                    sizeof ((keyward_verdict *)0)->name}
    TEXT(key_id), TEXT(environment), TEXT(tenant), TEXT(scope), TEXT(subject),
#undef TEXT
};
#define TEXTS (sizeof texts / sizeof texts[0])
enum { KEY_ID, ENVIRONMENT, TENANT, SCOPE, SUBJECT };

static uint32_t length_of(const void *verdict, size_t which)
{
    uint32_t length;
    memcpy(&length, (const char *)verdict + texts[which].length, sizeof length);
    return length;
}

PyObject *new_verdict(const keyward_verdict *verdict, PyObject *realm, const char *scopes)
{
    size_t total = 0, which;
    uint32_t listed = NO_SCOPES;
    verdict_object *self;
    char *at;
    for (which = 0; which < TEXTS; ++which)
        total += length_of(verdict, which);
    if (scopes != NULL && verdict->scopes_len < SCOPES_CAPACITY) {
        listed = verdict->scopes_len;
        total += listed;
    }
    self = (verdict_object *)PyType_GenericAlloc(verdict_type, (Py_ssize_t)total);
    if (self == NULL)
        return NULL;
    Py_INCREF(realm);
    self->realm = realm;
    memcpy(self->head.bytes, verdict, HEAD);
    self->scopes_len = listed;
    at = self->texts;
    for (which = 0; which < TEXTS; ++which) {
        uint32_t length = length_of(verdict, which);
        memcpy(at, (const char *)verdict + texts[which].text, length);
        at += length;
    }
    if (listed != NO_SCOPES)
        memcpy(at, scopes, listed);
    return (PyObject *)self;
}

PyObject *restored_verdict(PyObject *object, keyward_verdict *into)
{
    verdict_object *self = (verdict_object *)object;
    const char *at = self->texts;
    size_t which;
    if (!PyObject_TypeCheck(object, verdict_type)) {
        PyErr_SetString(PyExc_TypeError, "verdict has to be a keyward.Verdict");
        return NULL;
    }
    memcpy(into, self->head.bytes, HEAD);
    for (which = 0; which < TEXTS; ++which) {
        uint32_t length = length_of(self->head.bytes, which);
        char *text = (char *)into + texts[which].text;
        memcpy(text, at, length);
        text[length] = 0;
        at += length;
    }
    return self->realm;
}

static void dealloc(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    Py_CLEAR(((verdict_object *)self)->realm);
    PyObject_Free(self);
    Py_DECREF(type);
}

static int is_allowed(PyObject *self)
{
    return head_of(self)->decision == KEYWARD_ALLOW;
}

static PyObject *get_allowed(PyObject *self, void *closure)
{
    (void)closure;
    return PyBool_FromLong(is_allowed(self));
}

static PyObject *get_decision(PyObject *self, void *closure)
{
    const keyward_verdict *verdict = head_of(self);
    (void)closure;
    return PyUnicode_InternFromString(verdict->decision == KEYWARD_ALLOW                                   ? "allow"
                                      : verdict->reason == KEYWARD_REASON_UNAVAILABLE || !verdict->reason ? "unavailable"
                                                                                                           : "deny");
}

static PyObject *get_reason(PyObject *self, void *closure)
{
    (void)closure;
    return PyUnicode_InternFromString(keyward_reason_name(head_of(self)->reason));
}

static PyObject *get_realm(PyObject *self, void *closure)
{
    PyObject *realm = ((verdict_object *)self)->realm;
    (void)closure;
    Py_INCREF(realm);
    return realm;
}

static PyObject *get_generation(PyObject *self, void *closure)
{
    (void)closure;
    return PyLong_FromUnsignedLongLong(head_of(self)->generation);
}

static PyObject *get_retry_after(PyObject *self, void *closure)
{
    (void)closure;
    if (head_of(self)->reason != KEYWARD_REASON_RATE_LIMITED)
        Py_RETURN_NONE;
    return PyLong_FromUnsignedLongLong(head_of(self)->retry_after);
}

static PyObject *get_text(PyObject *self, void *closure)
{
    const keyward_verdict *verdict = head_of(self);
    size_t which = (size_t)closure, before;
    const char *at = ((verdict_object *)self)->texts;
    uint32_t length = length_of(verdict, which);
    int is_there = length != 0;
    if (which == SUBJECT)
        is_there = verdict->has_subject;
    if (which == SCOPE)
        is_there = verdict->reason == KEYWARD_REASON_INSUFFICIENT_SCOPE;
    if (!is_there)
        Py_RETURN_NONE;
    for (before = 0; before < which; ++before)
        at += length_of(verdict, before);
    return PyUnicode_DecodeUTF8(at, (Py_ssize_t)length, "strict");
}

static PyObject *get_scopes(PyObject *object, void *closure)
{
    verdict_object *self = (verdict_object *)object;
    PyObject *joined, *list, *separator, *tuple = NULL;
    const char *at = self->texts;
    size_t which;
    (void)closure;
    if (self->scopes_len == NO_SCOPES)
        Py_RETURN_NONE;
    if (self->scopes_len == 0)
        return PyTuple_New(0);
    for (which = 0; which < TEXTS; ++which)
        at += length_of(self->head.bytes, which);
    joined = PyUnicode_DecodeUTF8(at, (Py_ssize_t)self->scopes_len, "strict");
    separator = PyUnicode_FromString(" ");
    if (joined != NULL && separator != NULL && (list = PyUnicode_Split(joined, separator, -1)) != NULL) {
        tuple = PySequence_Tuple(list);
        Py_DECREF(list);
    }
    Py_XDECREF(joined);
    Py_XDECREF(separator);
    return tuple;
}

static PyObject *repr(PyObject *self)
{
    PyObject *decision = get_decision(self, NULL), *reason = get_reason(self, NULL);
    PyObject *key = get_text(self, (void *)KEY_ID), *made = NULL;
    if (decision != NULL && reason != NULL && key != NULL)
        made = key == Py_None ? PyUnicode_FromFormat("<Verdict %U %U>", decision, reason)
                              : PyUnicode_FromFormat("<Verdict %U %U key_id=%R>", decision, reason, key);
    Py_XDECREF(decision);
    Py_XDECREF(reason);
    Py_XDECREF(key);
    return made;
}

static PyGetSetDef properties[] = {
    {"allowed", get_allowed, NULL, "Whether the request may go on; the same as bool(verdict).", NULL},
    {"decision", get_decision, NULL, "'allow', 'deny' or 'unavailable'.", NULL},
    {"reason", get_reason, NULL, "Why, such as 'unknown_key': for logs and metrics, not for the client.", NULL},
    {"realm", get_realm, NULL, "The realm that was asked.", NULL},
    {"generation", get_generation, NULL, "The generation that decided; 0 where there was none.", NULL},
    {"retry_after", get_retry_after, NULL, "Seconds after which the key may come again, where it was rate_limited.",
     NULL},
    {"key_id", get_text, NULL, "The id of the key, as soon as authentication passed: also with a 403 or a 429.",
     (void *)KEY_ID},
    {"environment", get_text, NULL, "The key's environment.", (void *)ENVIRONMENT},
    {"tenant", get_text, NULL, "The key's tenant.", (void *)TENANT},
    {"scope", get_text, NULL, "The scope that is missing, where the reason is insufficient_scope.", (void *)SCOPE},
    {"subject", get_text, NULL, "The subject of the token, where one was required.", (void *)SUBJECT},
    {"scopes", get_scopes, NULL, "All scopes of the key, where the request had list_scopes=True.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

PyTypeObject *make_verdict_type(void)
{
    static PyType_Slot slots[] = {
        {Py_tp_doc, "What was decided about a request. It is true only where the request may go on."},
        {Py_tp_dealloc, (void *)dealloc},
        {Py_tp_repr, (void *)repr},
        {Py_tp_getset, properties},
        {Py_nb_bool, (void *)is_allowed},
        {0, NULL},
    };
    static PyType_Spec spec = {
        "keyward.Verdict", sizeof(verdict_object), 1,
        Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE, slots,
    };
    return (PyTypeObject *)PyType_FromSpec(&spec);
}
