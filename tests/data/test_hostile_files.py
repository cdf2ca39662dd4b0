"""Files of a few bytes that announce, or unpack to, more than memory: refused before any of it is there."""

import gzip
import io
import os
import tarfile
import time
import tracemalloc

import pytest

from flatmin.cli.data import list_sets
from flatmin.core.archives import gunzipped, read_whole, tar_members
from flatmin.core.errors import DataError
from flatmin.data import load
from flatmin.data.catalog import CATALOG

MEMBER = "cifar-10-batches-py/data_batch_1"


def sparse_tar(path, size):
    """A gzipped archive of one member of `size` zeros that are not stored: the old GNU format by hand."""
    header = bytearray(512)
    header[: len(MEMBER)] = MEMBER.encode()
    for offset, text in (
        (100, "0000644"),
        (108, "0000000"),
        (116, "0000000"),
        (124, "00000000000"),
        (136, "00000000000"),
    ):
        header[offset : offset + len(text)] = text.encode()
    header[156:157] = b"S"
    header[257:265] = b"ustar  \0"
    header[483:495] = (1 << 95 | size).to_bytes(12, "big")
    header[148:156] = b" " * 8
    header[148:155] = f"{sum(header):06o}\0".encode()
    path.write_bytes(gzip.compress(bytes(header) + bytes(1024)))
    return path


def long_tar(path, size, name=MEMBER, kind=tarfile.REGTYPE):
    with gzip.open(path, "wb", 9) as packed, tarfile.open(fileobj=packed, mode="w|") as archive:
        member = tarfile.TarInfo(name)
        member.size, member.type = size, kind
        archive.addfile(member, io.BytesIO(bytes(size)))
    return path


BOMBS = {
    "a sparse member": lambda path: sparse_tar(path, 40 * 2**30),
    "a long member": lambda path: long_tar(path, 2**28),
    "a long member of another name": lambda path: long_tar(path, 2**28, "other"),
    "a long extended header": lambda path: long_tar(path, 2**28, kind=tarfile.XHDTYPE),
    "zeros": lambda path: path.write_bytes(gzip.compress(bytes(2**28))) and path,
}


@pytest.fixture
def small():
    """Fails a test that took more memory or time than the published set has."""
    tracemalloc.start()
    start = time.monotonic()
    yield
    peak, seconds = tracemalloc.get_traced_memory()[1], time.monotonic() - start
    tracemalloc.stop()
    assert peak < 3 * CATALOG["cifar10"].most_bytes and seconds < 10


@pytest.mark.parametrize("kind", BOMBS)
def test_an_archive_that_unpacks_to_more_than_its_set_is_refused(tmp_path, kind, request):
    archive = BOMBS[kind](tmp_path / "cifar-10-python.tar.gz")
    assert archive.stat().st_size < 2**20
    request.getfixturevalue("small")
    with pytest.raises(DataError, match=r"cifar-10-python\.tar\.gz.* (more than [\d,]+ bytes|damaged|lacks)"):
        load("cifar10", root=tmp_path, verify=False, download=False)


def test_a_sparse_member_is_refused_by_what_it_announces(tmp_path):
    path = sparse_tar(tmp_path / "set.tar.gz", 40 * 2**30)
    assert path.stat().st_size < 300
    with pytest.raises(DataError, match=rf"set\.tar\.gz:{MEMBER} is refused: .* more than 100,000 bytes"):
        tar_members(path, [MEMBER], 100_000)


@pytest.mark.parametrize(
    "headers",
    [
        {"size": str(40 * 2**30)},
        {"size": "-1"},
        {"GNU.sparse.size": str(40 * 2**30), "GNU.sparse.numblocks": "0"},
        {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.realsize": str(40 * 2**30)},
    ],
    ids=["long", "negative", "sparse 0", "sparse 1"],
)
def test_sizes_in_extended_headers_count_too(tmp_path, headers):
    path = tmp_path / "set.tar.gz"
    with gzip.open(path, "wb") as packed, tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as archive:
        member = tarfile.TarInfo(MEMBER)
        member.size, member.pax_headers = 512, headers
        archive.addfile(member, io.BytesIO(b"0\n" + bytes(510)))
    with pytest.raises(DataError, match=r"set\.tar\.gz.* (more than 100,000 bytes|damaged)"):
        tar_members(path, [MEMBER], 100_000)


@pytest.mark.parametrize("verify", [True, False])
def test_gzipped_files_that_unpack_to_more_than_the_set(tmp_path, tiny_mnist, lay_out, verify, request):
    folder = lay_out(tmp_path / "MNIST/raw", tiny_mnist, packed=True)
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(bytes(2**28)))
    request.getfixturevalue("small")
    with pytest.raises(DataError, match=r"differs from the published|holds or announces more than"):
        load("mnist", root=tmp_path, verify=verify, download=False)


def test_a_loose_file_longer_than_the_set_is_not_read(tmp_path, tiny_mnist, lay_out, small):
    folder = lay_out(tmp_path / "mnist", tiny_mnist)
    os.truncate(folder / "t10k-labels-idx1-ubyte", 40 * 2**30)
    with pytest.raises(DataError, match="t10k-labels-idx1-ubyte is refused: it holds or announces more than"):
        load("mnist", root=tmp_path, verify=False, download=False)


def test_the_list_reads_no_more_of_them(tmp_path, capsys, tiny_mnist, lay_out, monkeypatch, request):
    monkeypatch.setenv("COLUMNS", "300")
    sparse_tar(tmp_path / "cifar-10-python.tar.gz", 40 * 2**30)
    folder = lay_out(tmp_path / "MNIST/raw", tiny_mnist, packed=True)
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(bytes(2**28)))
    request.getfixturevalue("small")
    list_sets(tmp_path)
    rows = {line.split()[1]: line for line in capsys.readouterr().out.splitlines() if line.startswith("│ ")}
    assert "damaged" in rows["cifar10"] and "differs" in rows["mnist"]


@pytest.mark.parametrize("name", CATALOG)
def test_the_limit_leaves_room_for_the_published_files(name):
    entry = CATALOG[name]
    pixels = (entry.num_train + entry.num_test) * entry.input_shape[0] * entry.input_shape[1] * entry.input_shape[2]
    assert 1.01 * pixels < entry.most_bytes < 2 * pixels + 2**21


def test_the_limit_is_exact(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"abc")
    assert read_whole(path, 3) == b"abc" and gunzipped("file.gz", gzip.compress(b"abc"), 3) == b"abc"
    with pytest.raises(DataError, match="more than 2 bytes"):
        read_whole(path, 2)
    with pytest.raises(DataError, match=r"file\.gz is refused: it holds or announces more than 2 bytes"):
        gunzipped("file.gz", gzip.compress(b"abc"), 2)
