/* Puts the types into keyward._native, and raises the exceptions of keyward._errors. */
#include "native.h"

/* keyward._errors.error_of(code, name, message) */
static PyObject *error_of;
static PyObject *closed_error;

static PyObject *raise_object(PyObject *exception)
{
    if (exception != NULL) {
        PyErr_SetObject((PyObject *)Py_TYPE(exception), exception);
        Py_DECREF(exception);
    }
    return NULL;
}

PyObject *raise_status(int32_t status, const char *message)
{
    return raise_object(PyObject_CallFunction(error_of, "isz", (int)status, keyward_status_name(status), message));
}

PyObject *raise_closed(void)
{
    return raise_object(PyObject_CallFunction(closed_error, NULL));
}

static PyObject *imported(const char *module, const char *name)
{
    PyObject *from = PyImport_ImportModule(module), *object = NULL;
    if (from != NULL) {
        object = PyObject_GetAttrString(from, name);
        Py_DECREF(from);
    }
    return object;
}

/* Puts keyward.Request in the place of the NamedTuple that declares it. */
static int take_request(void)
{
    PyObject *module = PyImport_ImportModule("keyward._request"), *declared = NULL;
    int result = -1;
    if (module != NULL && (declared = PyObject_GetAttrString(module, "Request")) != NULL &&
        (request_type = make_request_type(declared)) != NULL)
        result = PyObject_SetAttrString(module, "Request", (PyObject *)request_type);
    Py_XDECREF(module);
    Py_XDECREF(declared);
    return result;
}

static int add_types(void)
{
    PyObject *module = PyImport_AddModule("keyward._native"); /* borrowed */
    PyTypeObject *handle;
    if (module == NULL)
        return -1;
    if (verdict_type == NULL &&
        ((error_of = imported("keyward._errors", "error_of")) == NULL ||
         (closed_error = imported("keyward._errors", "closed")) == NULL || take_request() < 0 ||
         (verdict_type = make_verdict_type()) == NULL))
        return -1;
    handle = make_engine_type();
    if (handle == NULL)
        return -1;
    if (PyObject_SetAttrString(module, "Verdict", (PyObject *)verdict_type) < 0 ||
        PyObject_SetAttrString(module, "Handle", (PyObject *)handle) < 0) {
        Py_DECREF(handle);
        return -1;
    }
    Py_DECREF(handle);
    return 0;
}

/* Called through cffi, which gives up the GIL around every call. 0, or -1. */
int keyward_python_add_types(void)
{
    PyGILState_STATE state = PyGILState_Ensure();
    int result = add_types();
    if (result < 0)
        PyErr_Print();
    PyGILState_Release(state);
    return result;
}
