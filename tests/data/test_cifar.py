import os
import pickle
import tarfile

import numpy as np
import pytest

from flatmin.core.errors import DataError
from flatmin.data import load

FOLDER = "cifar-10-batches-py"


def batch(**changes):
    return pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "labels": [0, 1]} | changes, 4)


@pytest.fixture
def loose(tmp_path, tiny_cifar10, lay_out):
    return lay_out(tmp_path / FOLDER, tiny_cifar10)


def load_tiny(root):
    return load("cifar10", root=root, verify=False, download=False)


def test_batches_are_joined_in_order(tmp_path, loose):
    cifar = load_tiny(tmp_path)
    assert cifar.train.inputs.shape == (10, 3, 32, 32)
    assert (cifar.train.inputs[:, 0, 0, 0] * 255).tolist() == list(range(10))
    assert cifar.train.targets.tolist() == [0, 9, 1, 8, 2, 7, 3, 6, 4, 5]
    assert (cifar.test.inputs[:, 2, 31, 31] * 255).tolist() == [10, 11]
    assert cifar.test.targets.tolist() == [5, 4]


def test_pixels_are_colour_planes_row_by_row(tmp_path, loose):
    pixels = np.arange(3072).astype(np.uint8)[None]
    (loose / "test_batch").write_bytes(batch(data=pixels, labels=[0]))
    image = load_tiny(tmp_path).test.inputs[0] * 255
    for plane, row, column in [(0, 0, 1), (0, 1, 0), (1, 0, 0), (2, 31, 30)]:
        assert image[plane, row, column] == (1024 * plane + 32 * row + column) % 256


def test_archive_reads_as_the_folder(tmp_path, loose, pack):
    from_folder = load_tiny(tmp_path)
    pack(loose, "cifar-10-python.tar.gz")
    loose.rename(tmp_path / "elsewhere")
    from_archive = load_tiny(tmp_path)
    assert from_archive.train.inputs.equal(from_folder.train.inputs)
    assert from_archive.test.targets.equal(from_folder.test.targets)
    assert from_archive.provenance["files"] == from_folder.provenance["files"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cifar-10-python.tar.gz", "elsewhere"]


def test_archive_of_dotted_names_reads_as_the_folder(tmp_path, loose):
    expected = load_tiny(tmp_path)
    with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as archive:
        archive.add(loose, f"./{FOLDER}")
    loose.rename(tmp_path / "elsewhere")
    found = load_tiny(tmp_path)
    assert found.provenance["files"] == expected.provenance["files"]
    assert found.train.inputs.equal(expected.train.inputs)


@pytest.mark.parametrize("packed", [False, True])
def test_binary_version_reads_as_the_pickles(tmp_path, loose, pack, lay_out, packed):
    """A byte for the class, then 3,072 for the pixels: written here as the publisher's page describes it."""
    expected = load_tiny(tmp_path)
    images = [*zip(expected.train.inputs, expected.train.targets, strict=True)]
    batches = [images[2 * i : 2 * i + 2] for i in range(5)] + [
        [*zip(expected.test.inputs, expected.test.targets, strict=True)]
    ]
    names = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
    files = {
        name: b"".join(bytes([label]) + (image * 255).round().byte().numpy().tobytes() for image, label in batch)
        for name, batch in zip(names, batches, strict=True)
    }
    root = tmp_path / "binary"
    folder = lay_out(root / "cifar-10-batches-bin", files)
    if packed:
        pack(folder, "cifar-10-binary.tar.gz")
        folder.rename(root / "elsewhere")
    found = load_tiny(root)
    assert found.train.inputs.equal(expected.train.inputs) and found.test.inputs.equal(expected.test.inputs)
    assert found.train.targets.equal(expected.train.targets) and found.test.targets.equal(expected.test.targets)


def test_binary_batch_of_a_broken_length(tmp_path, lay_out):
    names = [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]
    lay_out(tmp_path / "cifar-10-batches-bin", dict.fromkeys(names, bytes(3073)) | {"test_batch.bin": bytes(3072)})
    with pytest.raises(DataError, match=r"test_batch\.bin: expected images of 3073 bytes, got 3072 bytes in all"):
        load_tiny(tmp_path)


@pytest.mark.parametrize("left", [0.5, 0.0])
def test_truncated_archive(tmp_path, loose, pack, left):
    rng = np.random.default_rng(0)
    (loose / "test_batch").write_bytes(batch(data=rng.integers(0, 256, (2, 3072), np.uint8)))
    archive = pack(loose, "cifar-10-python.tar.gz")
    loose.rename(tmp_path / "elsewhere")
    content = archive.read_bytes()
    archive.write_bytes(content[: int(left * len(content))])
    with pytest.raises(DataError, match=r"cifar-10-python\.tar\.gz is cut short or damaged"):
        load_tiny(tmp_path)


def test_archive_that_lacks_a_batch(tmp_path, loose, pack):
    (loose / "data_batch_4").unlink()
    pack(loose, "cifar-10-python.tar.gz")
    with pytest.raises(DataError, match=r"tar\.gz lacks cifar-10-batches-py/data_batch_4"):
        load_tiny(tmp_path)


def test_fine_labels_are_those_of_cifar100(tmp_path, lay_out):
    content = pickle.dumps({"data": np.zeros((2, 3072), np.uint8), "fine_labels": [99, 3], "coarse_labels": [1, 2]}, 2)
    lay_out(tmp_path / "cifar-100-python", {"train": content, "test": content})
    cifar = load("cifar100", root=tmp_path, verify=False, download=False)
    assert cifar.train.targets.tolist() == cifar.test.targets.tolist() == [99, 3]
    assert cifar.num_classes == 100


class Touch:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


def test_batch_with_code_in_it_is_refused_and_not_run(tmp_path, loose):
    target = tmp_path / "written"
    (loose / "data_batch_2").write_bytes(batch(data=Touch(target)))
    with pytest.raises(DataError, match=rf"data_batch_2 is refused: it asks for `{os.name}\.system`"):
        load_tiny(tmp_path)
    assert not target.exists()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps({"labels": [0]}), r"expected an entry 'data', got \['labels'\]"),
        (pickle.dumps({"data": None, "fine_labels": []}), "expected an entry 'labels'"),
        (batch(data=[1, 2]), r"expected images of shape \(N, 3072\), got list"),
        (batch(data=np.zeros((2, 784), np.uint8)), r"expected images of shape \(N, 3072\), got \(2, 784\)"),
        (batch(labels=[0]), "one label for each of 2 images, got 1"),
        (batch(data=np.zeros((0, 3072), np.uint8), labels=[]), "one label for each of 0 images"),
        (batch(labels=[0, 10]), "expected labels from 0 to 9, got 0 to 10"),
        (batch(labels=[0, -1]), "expected labels from 0 to 9, got -1 to 0"),
        (batch(labels=[0, 2**70]), "expected labels from 0 to 9"),
        (batch(labels=[0, 10**600]), "expected labels from 0 to 9, got 0 to a number of 1994 bits"),
        (batch(labels=[0, 0.5]), "expected 'labels' to be a list of whole numbers"),
        (batch(labels=7), "expected 'labels' to be a list of whole numbers"),
    ],
)
def test_batch_that_is_none(tmp_path, loose, content, message):
    (loose / "test_batch").write_bytes(content)
    with pytest.raises(DataError, match=rf"test_batch: .*{message}"):
        load_tiny(tmp_path)
