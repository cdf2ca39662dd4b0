import os
import pickle
import pickletools
import struct
import subprocess
import tracemalloc

import numpy as np
import pytest

from flatmin.core.errors import DataError
from flatmin.data.files import File
from flatmin.data.unpickle import MOST_OPCODES, read_record

IMAGES = np.arange(2 * 3072, dtype=np.uint8).reshape(2, 3072)


def record(content):
    return read_record(File("batch", content, ""))


def python2_array(array, dtype=b"u1"):
    """An array as Python 2's cPickle and numpy 1.x write it; the opcodes are those of the published files."""
    content = array.tobytes()
    return (
        b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
        b"(K\x01K" + bytes([array.shape[0]]) + b"M" + struct.pack("<H", array.shape[1]) + b"\x86"
        b"cnumpy\ndtype\nU" + bytes([len(dtype)]) + dtype + b"K\x00K\x01\x87R"
        b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        b"\x89T" + struct.pack("<I", len(content)) + content + b"tb"
    )


def python2_record(array=IMAGES, **options):
    return b"\x80\x02}(U\x06labels](K\x03K\x07eU\x04data" + python2_array(array, **options) + b"u."


class Call:
    """Pickles to a call of `function(*arguments)`."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def test_python_2_pickle_reads_as_the_plain_unpickler_reads_it():
    found = record(python2_record())
    trusted = pickle.loads(python2_record(), encoding="bytes")
    assert found["labels"] == trusted[b"labels"] == [3, 7]
    np.testing.assert_array_equal(found["data"], IMAGES)
    np.testing.assert_array_equal(trusted[b"data"], IMAGES)


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("key", ["data", b"data"])
def test_python_3_pickles_read_alike(protocol, key):
    found = record(pickle.dumps({key: IMAGES, "labels": [3, 7]}, protocol))
    np.testing.assert_array_equal(found["data"], IMAGES)
    assert found["labels"] == [3, 7]


def test_column_major_array_keeps_its_order():
    np.testing.assert_array_equal(record(pickle.dumps({"data": np.asfortranarray(IMAGES)}, 2))["data"], IMAGES)


@pytest.mark.parametrize(
    ("function", "name"),
    [(os.system, f"{os.name}.system"), (eval, "builtins.eval"), (subprocess.check_call, "subprocess.check_call")],
)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_pickle_with_code_is_refused_and_not_run(tmp_path, function, name, protocol):
    target = tmp_path / "written"
    argument = ["touch", str(target)] if function is subprocess.check_call else f"touch {target}"
    if function is eval:
        argument = f"open({str(target)!r}, 'w')"
    content = pickle.dumps({"data": Call(function, argument), "labels": [0]}, protocol, fix_imports=False)
    with pytest.raises(DataError, match=rf"batch is refused: it asks for `{name}`"):
        record(content)
    assert not target.exists()


@pytest.mark.parametrize(
    ("names", "asked"),
    [
        (b"cnumpy\nload\n", "numpy.load"),
        (b"cnumpy.core.multiarray\nscalar\n", "numpy.core.multiarray.scalar"),
        (b"c__builtin__\ngetattr\n", "__builtin__.getattr"),
        (b"ccopyreg\n_reconstructor\n", "copyreg._reconstructor"),
        (b"cnumpy\nndarray.tofile\n", "numpy.ndarray.tofile"),
    ],
)
def test_other_names_are_refused_even_uncalled(names, asked):
    with pytest.raises(DataError, match=f"it asks for `{asked}`"):
        record(b"\x80\x02" + names + b".")


def test_protocol_4_name_with_dots_is_refused():
    content = b"\x80\x04\x8c\x05numpy\x8c\x0bcore.os.sys\x93."
    with pytest.raises(DataError, match=r"it asks for `numpy\.core\.os\.sys`"):
        record(content)


@pytest.mark.parametrize(
    "array", [np.array([[object()]]), np.zeros((1, 3072)), np.zeros((1, 3072), np.int8), np.zeros(2, "u1,u1")]
)
def test_arrays_of_other_types_are_refused(array):
    content = python2_record(dtype=b"O8") if array.dtype == object else pickle.dumps({"data": array}, 2)
    with pytest.raises(DataError, match=r"it holds an array of type .*, not of unsigned bytes"):
        record(content)


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02}U\x04datacnumpy\nndarray\ns.",
        b"\x80\x02}U\x04datacnumpy\ndtype\nU\x0d\x93NUMPY-bytes.\x85Rs.",
        b"\x80\x02}U\x04datacnumpy.core.multiarray\n_reconstruct\n)Rs.",
    ],
)
def test_permitted_names_put_to_another_use_are_refused(content):
    with pytest.raises(DataError, match="it holds a bare `"):
        record(content)


def test_permitted_names_never_reach_numpy():
    """A state set on the name itself, which would change numpy for the whole process, stays a note."""
    content = b"\x80\x02cnumpy\nndarray\n}U\x05shapeK\x00sb0}."
    assert "BUILD" in {opcode.name for opcode, _, _ in pickletools.genops(content)}
    assert record(content) == {}
    assert np.zeros(3).shape == (3,)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no pickle",
        python2_record()[:-100],
        pickle.dumps([1, 2]),
        python2_record().replace(b"K\x02M\x00\x0c", b"K\x03M\x00\x0c"),
        b"\x80\x02}U\x04datacnumpy.core.multiarray\n_reconstruct\n)R(K\x01tbs.",
        b"\x80\x02}U\x04datacnumpy.core.multiarray\n_reconstruct\n)R(K\x01(K\x01tcnumpy\ndtype\nU\x02u1\x85R\x89K\x05tbs.",
        b"\x80\x02}U\x04datac_codecs\nencode\ns.",
        b"\x80\x02}K\x01K\x02s.",
    ],
    ids=["empty", "text", "cut", "list", "shape", "state", "pixels", "encode", "key"],
)
def test_damaged_pickle_is_one_clear_error(content):
    with pytest.raises(DataError, match=r"batch is cut short or no CIFAR batch \("):
        record(content)


TUPLES = b"".join(b"\x94h" + bytes([depth]) + b"\x86" for depth in range(100))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x80\x04})" + TUPLES + b"K\x01s.", "a tuple as a key"),
        (b"\x80\x04}()" + TUPLES + b"K\x01u.", "a tuple as a key"),
        (b"\x80\x04()" + TUPLES + b"K\x01d.", "a tuple as a key"),
        (b"\x80\x04(" + b"]" * MOST_OPCODES + b"l.", "more than 1,048,576 opcodes"),
        (b"\x80\x02}U\x04datacnumpy.core.multiarray\n_reconstruct\n)R(K\x01(K\x01tcnumpy\ndtype\n)" + TUPLES
         + b"\x85R\x89U\x01atbs.", "an array of type unknown"),
    ],
    ids=["item", "items", "dict", "opcodes", "type"],
)  # fmt: skip
def test_a_pickle_that_would_never_end_is_refused_at_once(content, message):
    with pytest.raises(DataError, match=f"batch is refused: it (has|holds) {message}"):
        record(content)


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x02}r\xff\xff\xff\x0f.",
        b"}p999999999\n.",
    ],
)
def test_a_huge_memo_index_takes_no_memory(content):
    tracemalloc.start()
    assert record(content) == {}
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2**20


@pytest.mark.parametrize(
    "content", [b"\x80\x05\x96" + struct.pack("<Q", 2**40) + b".", b"\x80\x04\x8f.", b"(i", b"Px\n."]
)
def test_opcodes_of_other_than_plain_data_are_none(content):
    with pytest.raises(DataError, match=r"batch is cut short or no CIFAR batch \(UnpicklingError: opcode 0x"):
        record(content)
