"""Exchanges arrays with another library through DLPack, in both directions, with ctypes alone.

dlpack_with.py numpy|torch liblockstep.so dlpack_plugin.so

Exits with 77 if the library is not installed.
"""
import ctypes
import importlib.util
import sys

library, lockstep_path, plugin_path = sys.argv[1:4]
if not importlib.util.find_spec(library):
    print(library, "is not installed")
    sys.exit(77)
other = importlib.import_module(library)

ctypes.CDLL(lockstep_path)
plugin = ctypes.CDLL(plugin_path)
pointer = ctypes.c_void_p
for name, result, arguments in [
    ("dlpack_make", pointer, [ctypes.c_char_p]),
    ("dlpack_free", None, [pointer]),
    ("dlpack_export", pointer, [pointer, ctypes.c_int, ctypes.c_int]),
    ("dlpack_import", pointer, [pointer, ctypes.c_int]),
    ("dlpack_dtype", ctypes.c_char_p, [pointer]),
    ("dlpack_values", ctypes.c_int, [pointer, ctypes.POINTER(ctypes.c_double), ctypes.c_int]),
]:
    getattr(plugin, name).restype = result
    getattr(plugin, name).argtypes = arguments

python = ctypes.pythonapi
python.PyCapsule_New.restype = ctypes.py_object
python.PyCapsule_New.argtypes = [pointer, ctypes.c_char_p, pointer]
python.PyCapsule_IsValid.argtypes = [ctypes.py_object, ctypes.c_char_p]
python.PyCapsule_GetPointer.restype = pointer
python.PyCapsule_GetPointer.argtypes = [ctypes.py_object, ctypes.c_char_p]
python.PyCapsule_SetName.argtypes = [ctypes.py_object, ctypes.c_char_p]

# A capsule refers to its name, so these must stay.
NEW, OLD, USED_NEW, USED_OLD = b"dltensor_versioned", b"dltensor", b"used_dltensor_versioned", b"used_dltensor"
IF_NEEDED, ALWAYS = 0, 1
ON_THE_HOST = (1, 0)
ORDER = [0, 3, 1, 4, 2, 5]  # the elements of the plug-in's tensor in row-major order


class Ours:
    """A tensor of the plug-in."""

    def __init__(self, handle):
        assert handle, "the plug-in failed"
        self.handle = handle

    @classmethod
    def make(cls, dtype):
        return cls(plugin.dlpack_make(dtype.encode()))

    @classmethod
    def of(cls, array):
        try:
            capsule = array.__dlpack__(max_version=(1, 0))
        except TypeError:  # a library from before DLPack 1.0
            capsule = array.__dlpack__()
        new = python.PyCapsule_IsValid(capsule, NEW) == 1
        managed = python.PyCapsule_GetPointer(capsule, NEW if new else OLD)
        python.PyCapsule_SetName(capsule, USED_NEW if new else USED_OLD)  # then the capsule does not free the array
        return cls(plugin.dlpack_import(managed, new))

    def __del__(self):
        plugin.dlpack_free(self.handle)

    def __dlpack_device__(self):
        return ON_THE_HOST

    def __dlpack__(self, *, stream=None, max_version=None, dl_device=None, copy=None):
        assert stream is None and dl_device in (None, ON_THE_HOST)
        new = max_version is not None and max_version[0] >= 1
        # PyTorch has no arrays that are read-only.
        always = copy or library == "torch"
        managed = plugin.dlpack_export(self.handle, new, ALWAYS if always else IF_NEEDED)
        assert managed, "the plug-in failed"
        return python.PyCapsule_New(managed, NEW if new else OLD, None)

    def values(self):
        out = (ctypes.c_double * 24)()
        count = plugin.dlpack_values(self.handle, out, len(out))
        assert 0 <= count <= len(out), count
        return list(out)[:count]

    def dtype(self):
        return plugin.dlpack_dtype(self.handle).decode()


def floats(array):
    return [float(x) for x in array.reshape(-1)]


DTYPES = {"f32": "float32", "f64": "float64", "f16": "float16", "i8": "int8", "u8": "uint8", "i32": "int32", "i64": "int64"}
if library == "torch":
    DTYPES["bf16"] = "bfloat16"
VERSION = tuple(int(number) for number in other.__version__.split(".")[:2])
HAS_BOOL = library != "numpy" or VERSION >= (1, 25)


def test_out():
    for ours, theirs in DTYPES.items():
        tensor = Ours.make(ours)
        array = other.from_dlpack(tensor)
        del tensor  # the array keeps the memory
        assert array.dtype == getattr(other, theirs), (array.dtype, theirs)
        assert tuple(array.shape) == (3, 2), array.shape
        assert floats(array) == ORDER, floats(array)
    if HAS_BOOL:
        flags = other.from_dlpack(Ours.make("bool"))
        assert floats(flags) == [0, 1, 1, 1, 1, 1], flags


def test_in():
    for ours, theirs in DTYPES.items():
        array = other.asarray([[0, 1, 2], [3, 4, 5]], dtype=getattr(other, theirs))
        assert Ours.of(array).dtype() == ours
        assert Ours.of(array).values() == [0, 1, 2, 3, 4, 5]
        assert Ours.of(array.T).values() == ORDER
        assert Ours.of(array[:, 1:]).values() == [1, 2, 4, 5]
    if HAS_BOOL:
        flags = other.asarray([True, False])
        assert Ours.of(flags).values() == [1, 0]
        assert Ours.of(flags).dtype() in ("bool", "u8")  # u8 from libraries that are older than kDLBool


def test_arrays_are_given_back():
    array = other.zeros((4,), dtype=other.float32)
    before = sys.getrefcount(array)
    tensor = Ours.of(array)
    assert sys.getrefcount(array) == before
    array[0] = 7
    assert tensor.values() == [0, 0, 0, 0], "a tensor does not change"


def test_arrays_that_are_read_only_are_kept_until_the_tensor_ends():
    if library != "numpy" or VERSION < (2, 1):  # older ones refuse to give such an array
        return
    array = other.asarray([[0, 1, 2], [3, 4, 5]], dtype=other.float32)
    array.flags.writeable = False
    before = sys.getrefcount(array)
    tensor = Ours.of(array)
    assert sys.getrefcount(array) > before, "its memory is shared"
    assert tensor.dtype() == "f32"
    assert tensor.values() == [0, 1, 2, 3, 4, 5]
    assert Ours.of(array.T).values() == ORDER
    del tensor
    assert sys.getrefcount(array) == before


def test_nothing_is_copied_on_the_way_to_numpy():
    if library != "numpy" or VERSION < (2, 1):  # older ones read only the old struct, which has a copy
        return
    tensor = Ours.make("f32")
    first, second = other.from_dlpack(tensor), other.from_dlpack(tensor)
    assert first.ctypes.data == second.ctypes.data
    assert not first.flags.writeable


for name, test in list(globals().items()):
    if name.startswith("test_"):
        test()
        print(library, name, "passes")
