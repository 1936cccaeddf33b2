"""The types of native/*.c, which the extension puts in here."""

from keyward._cffi import lib

if lib.keyward_python_add_types() != 0:
    raise ImportError("keyward's extension cannot make its types; what stands above says why")
