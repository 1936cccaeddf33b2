/*
 * The part of the package that is written in C: what every request goes through, without an object for each header.
 * Everything else goes through cffi.
 *
 * It keeps to the limited API of Python 3.10, so that one extension serves 3.10 and every later version. No function
 * here gives up the GIL: a decision takes less than giving it up and waiting for it does, and as long as it is held
 * nobody else can close the engine or change a list that is being read.
 */
#ifndef KEYWARD_PYTHON_NATIVE_H
#define KEYWARD_PYTHON_NATIVE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <keyward.h>

#define INLINE_HEADERS 48
#define INLINE_SCOPES 16
/* What Verdict.scopes has room for; nobody knows how long a key's list is. */
#define SCOPES_CAPACITY 16384

/* In the limited API a check of a type is a call; of what nearly everything is, it need not be. */
#define IS(object, type, check) (Py_TYPE(object) == &(type) || check(object))
#define IS_BYTES(object) IS(object, PyBytes_Type, PyBytes_Check)
#define IS_TEXT(object) IS(object, PyUnicode_Type, PyUnicode_Check)
#define IS_LIST(object) IS(object, PyList_Type, PyList_Check)
#define IS_TUPLE(object) IS(object, PyTuple_Type, PyTuple_Check)

/* The fields of keyward.Request, in its order. */
enum field {
    FIELD_REALM,
    FIELD_HEADERS,
    FIELD_PATH,
    FIELD_METHOD,
    FIELD_HOST,
    FIELD_PEER,
    FIELD_TLS,
    FIELD_ENVIRONMENT,
    FIELD_SCOPES,
    FIELD_NOW_NS,
    FIELD_LIST_SCOPES,
    FIELDS
};

/* A request as the library takes it. Its pointers go into objects that the caller of the method holds. */
typedef struct marshalled {
    keyward_request request;
    PyObject *realm;
    int wants_scopes;
    /* Texts that had to be encoded, or NULL. */
    PyObject *kept;
    void *more_headers;
    void *more_scopes;
    keyward_header headers[INLINE_HEADERS];
    keyward_bytes scopes[INLINE_SCOPES];
} marshalled;

/* request.c. 0, or -1 with an exception set; finish it either way. */
int marshal(marshalled *into, PyObject *const fields[FIELDS]);
int octets(PyObject *object, keyward_bytes *into, const char *what);
int text(PyObject *object, keyward_bytes *into, const char *what);
void finish(marshalled *into);

/* verdict.c */
extern PyTypeObject *verdict_type;
PyTypeObject *make_verdict_type(void);
PyObject *new_verdict(const keyward_verdict *verdict, PyObject *realm, const char *scopes);
/* A whole verdict again, and its realm, which is borrowed. */
PyObject *restored_verdict(PyObject *object, keyward_verdict *into);

/* asked.c */
extern PyTypeObject *request_type;
/* Of the NamedTuple that it is declared by, which it holds. */
PyTypeObject *make_request_type(PyObject *named_tuple);

/* engine.c */
PyTypeObject *make_engine_type(void);

/* module.c. Sets the exception of keyward._errors that a status stands for. Always NULL. */
PyObject *raise_status(int32_t status, const char *message);
PyObject *raise_closed(void);

#endif
