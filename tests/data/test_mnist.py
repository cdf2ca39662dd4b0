import gzip
import hashlib
import struct
from dataclasses import replace

import numpy as np
import pytest
import torch

from flatmin.core.errors import DataError
from flatmin.data import load
from flatmin.data.catalog import CATALOG
from flatmin.data.files import File
from flatmin.data.idx import read_idx


@pytest.mark.parametrize("folder", ["MNIST/raw", "mnist"])
@pytest.mark.parametrize("packed", [True, False])
def test_every_layout_reads_the_same(tmp_path, tiny_mnist, lay_out, folder, packed):
    lay_out(tmp_path / folder, tiny_mnist, packed)
    mnist = load("mnist", root=tmp_path, verify=False, download=False)
    pixels = np.frombuffer(tiny_mnist["train-images-idx3-ubyte"][16:], np.uint8).reshape(3, 1, 28, 28)
    assert torch.equal(mnist.train.inputs, torch.tensor(pixels, dtype=torch.float32) / 255)
    assert mnist.train.targets.tolist() == [5, 0, 9]
    assert mnist.test.targets.tolist() == [7, 2]
    assert (mnist.num_classes, mnist.input_shape) == (10, (1, 28, 28))


def test_truncated_gzip(tmp_path, tiny_mnist, lay_out):
    folder = lay_out(tmp_path / "MNIST/raw", tiny_mnist, packed=True)
    path = folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz is cut short or damaged .*flatmin data fetch"):
        load("mnist", root=tmp_path, verify=False, download=False)
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz: md5 \w+ differs from the published f68b3c2d"):
        load("mnist", root=tmp_path, download=False)


@pytest.mark.parametrize("content", [b"plain text", b"\x1f\x8b\x08\x00" + b"\xff" * 40])
def test_gz_that_is_none(content):
    with pytest.raises(DataError, match=r"labels\.gz is cut short or damaged"):
        read_idx(File("labels.gz", content, ""), 1)


@pytest.mark.parametrize(
    ("content", "magic"),
    [(struct.pack(">II", 0x0803, 1), "0x00000803"), (b"", "0x00000000"), (b"\x00\x00\x08\x03", "0x00000803")],
)
def test_wrong_magic_number(content, magic):
    with pytest.raises(DataError, match=rf"labels is no IDX .*expected magic number 0x00000801, got {magic}"):
        read_idx(File("labels", content, ""), 1)


def test_header_that_is_cut_short():
    with pytest.raises(DataError, match=r"images is cut short: its header has 16 bytes, the file 8\."):
        read_idx(File("images", struct.pack(">II", 0x0803, 60_000), ""), 3)


@pytest.mark.parametrize("shape", [(0, 2**32 - 1, 2**32 - 1), (0, 28, 28)])
def test_header_that_announces_nothing(shape):
    with pytest.raises(DataError, match=r"images: its header announces an empty array of shape \(0, "):
        read_idx(File("images", struct.pack(">4I", 0x0803, *shape), ""), 3)


@pytest.mark.parametrize("rest", [b"ab", b"abcd"])
def test_header_that_announces_another_length(rest):
    with pytest.raises(DataError, match=rf"announces 3 bytes of shape \(3,\), got {len(rest)}"):
        read_idx(File("labels", struct.pack(">II", 0x0801, 3) + rest, ""), 1)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t10k-labels-idx1-ubyte", struct.pack(">II", 0x0801, 1) + b"\x01", "one label for each of 2 images, got 1"),
        ("t10k-labels-idx1-ubyte", struct.pack(">II", 0x0801, 2) + b"\x01\x0a", "labels from 0 to 9, got 1 to 10"),
        ("t10k-images-idx3-ubyte", struct.pack(">4I", 0x0803, 1, 2, 3) + b"\x01" * 6, r"28 x 28 pixels, got \(2, 3\)"),
    ],
)
def test_files_that_do_not_fit_together(tmp_path, tiny_mnist, lay_out, name, content, message):
    lay_out(tmp_path / "mnist", tiny_mnist | {name: content})
    with pytest.raises(DataError, match=rf"{name}: expected .*{message}"):
        load("mnist", root=tmp_path, verify=False, download=False)


def recompressed(files):
    return {f"{name}.gz": gzip.compress(content, 1) for name, content in files.items()}


def test_files_compressed_anew_are_the_published_ones(tmp_path, tiny_mnist, lay_out, publish, monkeypatch):
    """The md5 of the contents is what counts, and the identity of the data is that of the published files."""
    published = lay_out(tmp_path / "published/MNIST/raw", tiny_mnist, packed=True)
    publish("mnist", published.parents[1])
    held = {f"{name}.gz": hashlib.md5(content).hexdigest() for name, content in tiny_mnist.items()}
    entry = CATALOG["mnist"]
    layouts = tuple(replace(layout, unpacked_md5=held) for layout in entry.layouts)
    monkeypatch.setitem(CATALOG, "mnist", replace(entry, layouts=layouts))
    lay_out(tmp_path / "anew/MNIST/raw", recompressed(tiny_mnist))
    records = [load("mnist", root=tmp_path / name, download=False).provenance for name in ("published", "anew")]
    assert records[1]["verified"] and records[0]["files"] == records[1]["files"]
    changed = tiny_mnist | {"t10k-labels-idx1-ubyte": tiny_mnist["t10k-labels-idx1-ubyte"][:-1] + b"\x03"}
    lay_out(tmp_path / "changed/MNIST/raw", recompressed(changed))
    with pytest.raises(DataError, match=r"t10k-labels-idx1-ubyte\.gz: md5 \w+ differs from .*\(1 of 4 files"):
        load("mnist", root=tmp_path / "changed", download=False)


@pytest.fixture
def keras_npz(tmp_path, tiny_mnist):
    def write(**changes):
        names = ["x_train", "y_train", "x_test", "y_test"]
        arrays = {
            name: np.frombuffer(content[16 if name[0] == "x" else 8 :], np.uint8)
            for name, content in zip(names, tiny_mnist.values(), strict=True)
        }
        arrays = {name: array.reshape(-1, 28, 28) if name[0] == "x" else array for name, array in arrays.items()}
        np.savez_compressed(tmp_path / "mnist.npz", **{k: v for k, v in (arrays | changes).items() if v is not None})
        return tmp_path

    return write


def test_the_archive_of_keras_holds_the_published_idx_files(keras_npz, tiny_mnist, lay_out):
    root = keras_npz()
    found = load("mnist", root=root, verify=False, download=False)
    assert found.provenance["place"] == str(root / "mnist.npz")
    lay_out(root / "idx/mnist", tiny_mnist)
    expected = load("mnist", root=root / "idx", verify=False, download=False)
    assert found.provenance["files"] == expected.provenance["files"]
    assert found.train.inputs.equal(expected.train.inputs) and found.test.targets.equal(expected.test.targets)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"x_train": np.zeros((3, 28, 28))}, r"mnist\.npz is not the archive .*one of unsigned bytes and 3 axes"),
        ({"y_test": None}, r"mnist\.npz is not the archive .*KeyError"),
        ({"x_test": np.array(["a", {}], object)}, r"mnist\.npz is not the archive .*unsigned bytes"),
        ({"x_test": np.zeros((2**27,), np.uint8)}, r"mnist\.npz is refused: it holds or announces more than"),
    ],
    ids=["floats", "lacking", "objects", "bomb"],
)
def test_an_npz_that_is_not_that_of_keras(keras_npz, changes, message):
    with pytest.raises(DataError, match=message):
        load("mnist", root=keras_npz(**changes), verify=False, download=False)
