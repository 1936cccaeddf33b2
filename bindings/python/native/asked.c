/*
 * keyward.Request, made as fast as a tuple is. Its fields, their defaults and everything else that it can do are those of
 * the NamedTuple in keyward._request, whose own constructor is a function of Python's: it takes as long as a decision.
 */
#include "native.h"

PyTypeObject *request_type;

/* The NamedTuple, the names of its fields, and their defaults, NULL where there is none. */
static PyTypeObject *declared;
static PyObject *names[FIELDS], *defaults[FIELDS];
static newfunc new_tuple;

/* Has the NamedTuple say what is wrong with the arguments; it cannot make one of our type. */
static PyObject *refuse(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    PyObject *constructor = PyObject_GetAttrString((PyObject *)declared, "__new__"), *all = NULL, *made = NULL;
    Py_ssize_t count = PyTuple_Size(arguments), at;
    if (constructor != NULL && (all = PyTuple_New(count + 1)) != NULL) {
        Py_INCREF(type);
        PyTuple_SetItem(all, 0, (PyObject *)type);
        for (at = 0; at < count; ++at) {
            PyObject *argument = PyTuple_GetItem(arguments, at);
            Py_INCREF(argument);
            PyTuple_SetItem(all, at + 1, argument);
        }
        made = PyObject_Call(constructor, all, keywords);
    }
    Py_XDECREF(constructor);
    Py_XDECREF(all);
    return made;
}

static int take_keywords(PyObject *keywords, PyObject *fields[FIELDS])
{
    PyObject *name, *value;
    Py_ssize_t position = 0;
    size_t at;
    while (PyDict_Next(keywords, &position, &name, &value)) {
        if (!PyUnicode_Check(name))
            return 0;
        /* The names in a program's text are interned, those of **fields may not be. */
        for (at = 0; at < FIELDS && name != names[at]; ++at)
            ;
        if (at == FIELDS)
            for (at = 0; at < FIELDS && PyUnicode_Compare(name, names[at]) != 0; ++at)
                ;
        if (at == FIELDS || fields[at] != NULL)
            return 0;
        fields[at] = value;
    }
    return 1;
}

/* By tuple's own constructor, which knows what a tuple has besides its items. Takes over `all`. */
static PyObject *made(PyTypeObject *type, PyObject *all)
{
    PyObject *arguments = all == NULL ? NULL : PyTuple_Pack(1, all), *self = NULL;
    if (arguments != NULL)
        self = new_tuple(type, arguments, NULL);
    Py_XDECREF(arguments);
    Py_XDECREF(all);
    return self;
}

static PyObject *new_request(PyTypeObject *type, PyObject *arguments, PyObject *keywords)
{
    PyObject *fields[FIELDS];
    Py_ssize_t count = PyTuple_Size(arguments), at;
    if (count > FIELDS)
        return refuse(type, arguments, keywords);
    if (count == FIELDS && keywords == NULL) {
        Py_INCREF(arguments);
        return made(type, arguments);
    }
    for (at = 0; at < count; ++at)
        fields[at] = PyTuple_GetItem(arguments, at);
    for (; at < FIELDS; ++at)
        fields[at] = NULL;
    if (keywords != NULL && !take_keywords(keywords, fields))
        return refuse(type, arguments, keywords);
    for (at = 0; at < FIELDS; ++at)
        if (fields[at] == NULL && (fields[at] = defaults[at]) == NULL)
            return refuse(type, arguments, keywords);
    return made(type, PyTuple_Pack(FIELDS, fields[0], fields[1], fields[2], fields[3], fields[4], fields[5], fields[6],
                                   fields[7], fields[8], fields[9], fields[10]));
}

/* That of the NamedTuple uses tuple's own constructor, which refuses a type that has another one. */
static PyObject *make(PyObject *type, PyObject *values)
{
    PyObject *all = PySequence_Tuple(values);
    if (all != NULL && PyTuple_Size(all) != FIELDS) {
        PyErr_Format(PyExc_TypeError, "Expected %d arguments, got %zd", FIELDS, PyTuple_Size(all));
        Py_CLEAR(all);
    }
    return made((PyTypeObject *)type, all);
}

static int read_fields(void)
{
    PyObject *all = PyObject_GetAttrString((PyObject *)declared, "_fields");
    PyObject *given = PyObject_GetAttrString((PyObject *)declared, "_field_defaults");
    Py_ssize_t at;
    int read = all != NULL && given != NULL && PyTuple_Size(all) == FIELDS;
    for (at = 0; read && at < FIELDS; ++at) {
        names[at] = PyTuple_GetItem(all, at);
        Py_XINCREF(names[at]);
        defaults[at] = PyDict_GetItemWithError(given, names[at]);
        Py_XINCREF(defaults[at]);
    }
    if (!read && !PyErr_Occurred())
        PyErr_SetString(PyExc_SystemError, "keyward.Request does not have the fields that it is read by");
    Py_XDECREF(all);
    Py_XDECREF(given);
    return read && !PyErr_Occurred() ? 0 : -1;
}

static PyMethodDef methods[] = {
    {"_make", make, METH_O | METH_CLASS, "Make a new Request object from a sequence or iterable"},
    {NULL, NULL, 0, NULL},
};

PyTypeObject *make_request_type(PyObject *named_tuple)
{
    PyObject *type = NULL, *bases = NULL;
    static PyType_Slot slots[] = {
        {Py_tp_doc,
         "Request(realm, headers, path, method=None, host=None, peer=None, tls=False, environment=None, scopes=(), "
         "now_ns=None, list_scopes=False)\n--\n\n"
         "One request to verify. What is left out counts as not known, and never lets more in.\n\n"
         "Text may be bytes as received, or `str`: of headers it is taken as Latin-1, which is how Python's servers write\n"
         "their bytes, of everything else as UTF-8."},
        {Py_tp_new, (void *)new_request},
        {Py_tp_methods, methods},
        {0, NULL},
    };
    static PyType_Spec spec = {"keyward.Request", 0, 0, Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE, slots};
    declared = (PyTypeObject *)named_tuple;
    new_tuple = (newfunc)PyType_GetSlot(&PyTuple_Type, Py_tp_new);
    if (read_fields() == 0 && (bases = PyTuple_Pack(1, named_tuple)) != NULL)
        type = PyType_FromSpecWithBases(&spec, bases);
    Py_XDECREF(bases);
    return (PyTypeObject *)type;
}
