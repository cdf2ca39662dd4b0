import struct

import numpy as np
import pytest
import torch

from flatmin.core.errors import DataError
from flatmin.data import load
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
    [(struct.pack(">II", 0x0803, 1), "0x00000803"), (b"", "0x00000000"), (b"\x00\x00\x08\x01", "0x00000801")],
)
def test_wrong_magic_number(content, magic):
    with pytest.raises(DataError, match=rf"labels is no IDX .*expected magic number 0x00000801, got {magic}"):
        read_idx(File("labels", content, ""), 1)


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
