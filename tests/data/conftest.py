import gzip
import hashlib
import pickle
import struct
import tarfile
from dataclasses import replace

import numpy as np
import pytest

from flatmin.data import catalog
from flatmin.data.publication import Download


@pytest.fixture(autouse=True)
def own_folders(tmp_path, monkeypatch):
    """No test sees the user's data or fetches anything into the user's cache."""
    monkeypatch.delenv("FLATMIN_DATA", raising=False)
    monkeypatch.setattr("flatmin.data.files.user_cache_path", lambda name: tmp_path / "cache" / name)


def idx(array):
    return struct.pack(f">I{array.ndim}I", 0x0800 + array.ndim, *array.shape) + array.tobytes()


@pytest.fixture
def tiny_mnist():
    """Four IDX files by name: three training and two test images."""
    rng = np.random.default_rng(0)
    return {
        "train-images-idx3-ubyte": idx(rng.integers(0, 256, (3, 28, 28), np.uint8)),
        "train-labels-idx1-ubyte": idx(np.array([5, 0, 9], np.uint8)),
        "t10k-images-idx3-ubyte": idx(rng.integers(0, 256, (2, 28, 28), np.uint8)),
        "t10k-labels-idx1-ubyte": idx(np.array([7, 2], np.uint8)),
    }


@pytest.fixture
def tiny_cifar10():
    """Six batches by name, two images each; image i of the set is filled with i."""
    names = [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    return {
        name: pickle.dumps({b"data": np.repeat(np.uint8([[2 * i], [2 * i + 1]]), 3072, 1), b"labels": [i, 9 - i]}, 2)
        for i, name in enumerate(names)
    }


@pytest.fixture
def lay_out():
    """Writes files by name into a folder, gzipped if asked."""

    def write(folder, files, packed=False):
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            path = folder / (f"{name}.gz" if packed else name)
            path.write_bytes(gzip.compress(content, mtime=0) if packed else content)
        return folder

    return write


@pytest.fixture
def pack():
    """Packs a folder into a tar archive beside it."""

    def write(folder, name):
        with tarfile.open(folder.parent / name, "w:gz") as archive:
            archive.add(folder, folder.name)
        return folder.parent / name

    return write


@pytest.fixture
def publish(monkeypatch):
    """Makes the files of a folder the published ones of a set: their md5s, and their address if one is given."""

    def change(name, folder, url=None):
        def md5(path):
            return hashlib.md5(path.read_bytes()).hexdigest()

        entry = catalog.CATALOG[name]
        layouts = tuple(
            replace(layout, md5={file: md5(folder / layout.folder / file) for file in layout.md5})
            for layout in entry.layouts
            if (folder / layout.folder / next(iter(layout.md5))).is_file()
        )
        downloads = tuple(
            Download(f"{url}/{old.path}", old.path, md5(folder / old.path)) for old in entry.downloads if url
        )
        monkeypatch.setitem(
            catalog.CATALOG, name, replace(entry, layouts=layouts, downloads=downloads or entry.downloads)
        )

    return change
