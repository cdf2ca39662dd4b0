import json
import re
import tarfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from threading import Thread

import pytest
import torch

from flatmin.core.errors import DataError
from flatmin.data import NAMES, LightningData, load
from flatmin.data.catalog import CATALOG, fetch

FOLDER = "cifar-10-batches-py"


@pytest.fixture
def serve():
    """Serves folders over HTTP on this computer."""
    servers = []

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments):
            pass

    def start(folder):
        servers.append(ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)))
        Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def published(tmp_path, tiny_cifar10, lay_out, pack, publish, serve):
    """A tiny CIFAR-10 that counts as the published one and can be fetched; returns its folder."""
    source = lay_out(tmp_path / "publisher" / FOLDER, tiny_cifar10)
    pack(source, "cifar-10-python.tar.gz")
    publish("cifar10", source.parent, serve(source.parent))
    return source.parent


def files_under(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_catalogue():
    assert (*CATALOG, "timit") == NAMES and {"digits", "mnist", "cifar10", "cifar100"} <= set(CATALOG)


@pytest.mark.parametrize("name", CATALOG)
def test_what_a_file_declares_can_be_found_fetched_and_named(name):
    entry = import_module(f"flatmin.data.sets.{name}").PUBLICATION
    assert entry is CATALOG[name] and entry.name == name
    assert entry.words and entry.source.startswith("http")
    assert entry.white > 0 and entry.num_classes > 1 and min(entry.input_shape) > 0
    assert entry.num_train > entry.num_test > 0
    md5s = [md5 for layout in entry.layouts for md5 in layout.md5.values()] + [one.md5 for one in entry.downloads]
    assert all(re.fullmatch("[0-9a-f]{32}", md5) for md5 in md5s)
    root = Path("root")
    fetched = {root / download.path for download in entry.downloads}
    assert entry.bundled or any(fetched == set(layout.paths(root)) for layout in entry.layouts)


def test_digits_are_split_evenly_and_always_alike():
    digits = load("digits")
    assert digits.train.inputs.shape == (1437, 1, 8, 8)
    assert digits.test.inputs.shape == (360, 1, 8, 8)
    assert digits.train.inputs.min() == 0
    assert digits.train.inputs.max() == 1
    shares = digits.train.targets.bincount() / (digits.train.targets.bincount() + digits.test.targets.bincount())
    assert shares.sub(1437 / 1797).abs().max() < 0.005
    assert digits.test.targets[:10].tolist() == [7, 6, 3, 7, 7, 3, 2, 8, 9, 3]
    assert digits.provenance["verified"]


def test_digits_of_both_splits_are_all_the_digits():
    from sklearn.datasets import load_digits

    digits = load("digits")
    found = torch.cat([digits.train.inputs, digits.test.inputs]).reshape(-1, 64) * 16
    rows = sorted(map(tuple, found.tolist()))
    assert rows == sorted(map(tuple, load_digits().data.tolist()))


def test_unknown_name():
    with pytest.raises(DataError, match=r"no data set 'cifar'; the known ones are digits, .*cifar100, timit"):
        load("cifar")


def test_published_files_are_verified(published):
    provenance = load("cifar10", root=published, download=False).provenance
    assert provenance["verified"]
    assert provenance["changed"] == []
    assert provenance["place"] == str(published / FOLDER)
    assert len(provenance["files"]) == 6
    assert json.loads(json.dumps(provenance)) == provenance


def test_changed_file_is_refused_unless_accepted(published):
    path = published / FOLDER / "data_batch_3"
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(
        DataError, match=r"data_batch_3: md5 \w{32} differs from the published \w{32} \(1 of 6 files.*`verify: false`"
    ):
        load("cifar10", root=published)
    provenance = load("cifar10", root=published, verify=False).provenance
    assert not provenance["verified"]
    assert provenance["changed"] == ["data_batch_3"]


def test_roots_are_searched_in_order(tmp_path, monkeypatch, tiny_mnist, lay_out):
    places = [tmp_path / name for name in ("argument", "variable", "cache/flatmin/data")]
    monkeypatch.setenv("FLATMIN_DATA", str(places[1]))
    places[0].mkdir()
    for place in reversed(places):
        lay_out(place / "mnist", tiny_mnist)
        found = load("mnist", root=places[0], verify=False, download=False)
        assert found.provenance["place"] == str(place / "mnist")


def test_absent_set_says_where_it_was_searched(tmp_path, monkeypatch):
    monkeypatch.setenv("FLATMIN_DATA", str(tmp_path / "variable"))
    with pytest.raises(
        DataError, match=r"mnist was not found: .*MNIST/raw/, mnist/, mnist.npz .*variable.*cache.*data fetch mnist"
    ):
        load("mnist", download=False)


def test_absent_part_is_named(tmp_path, tiny_cifar10, lay_out):
    folder = lay_out(tmp_path / FOLDER, tiny_cifar10)
    (folder / "data_batch_4").unlink()
    with pytest.raises(DataError, match=f"cifar10 was not found: .*; {folder}/data_batch_4 is missing"):
        load("cifar10", root=tmp_path, download=False)


def test_absent_set_is_fetched_into_the_first_root(tmp_path, published, monkeypatch):
    monkeypatch.setenv("FLATMIN_DATA", str(tmp_path / "variable"))
    cifar = load("cifar10")
    assert cifar.provenance["verified"]
    assert files_under(tmp_path / "variable") == ["cifar-10-python.tar.gz"]
    assert cifar.train.targets.equal(load("cifar10", root=published).train.targets)


def test_fetch_fills_the_named_root_though_the_set_lies_elsewhere(tmp_path, published, monkeypatch):
    monkeypatch.setenv("FLATMIN_DATA", str(published))
    assert fetch("cifar10", root=tmp_path / "new").place == str(tmp_path / "new" / "cifar-10-python.tar.gz")


def test_changed_download_is_refused_and_leaves_nothing(tmp_path, published):
    (new := tmp_path / "new").mkdir()
    with tarfile.open(published / "cifar-10-python.tar.gz", "w:gz") as archive:
        archive.add(published / FOLDER / "test_batch", "other")
    with pytest.raises(DataError, match=r"cifar10 was not found.* could not be downloaded .*does not match the known"):
        load("cifar10", root=new)
    assert files_under(tmp_path / "new") == []


def test_no_network(tmp_path, published, publish):
    (new := tmp_path / "new").mkdir()
    publish("cifar10", published, "http://127.0.0.1:9")
    with pytest.raises(
        DataError, match=r"127\.0\.0\.1:9/.* could not be downloaded to .*\(ConnectionError\).*FLATMIN_DATA"
    ):
        load("cifar10", root=new)
    assert files_under(tmp_path / "new") == []


@pytest.mark.parametrize("make", [load, LightningData])
def test_a_root_that_is_not_there_is_refused_though_the_set_lies_elsewhere(make, tmp_path, published, monkeypatch):
    monkeypatch.setenv("FLATMIN_DATA", str(published))
    with pytest.raises(DataError, match=r"`root` names .*nowhere, which is no folder; leave it out"):
        make("cifar10", root=tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


def test_folder_that_cannot_be_filled(tmp_path, published):
    (tmp_path / "new").write_text("a file, not a folder")
    with pytest.raises(DataError, match=r"could not be downloaded to .*\((FileExists|NotADirectory)Error\)"):
        fetch("cifar10", root=tmp_path / "new")


def test_gap_in_mnist_is_filled_with_the_published_file_alone(tmp_path, tiny_mnist, lay_out, publish, serve):
    source = tmp_path / "publisher"
    lay_out(source / "MNIST/raw", tiny_mnist, packed=True)
    publish("mnist", source, serve(source))
    own = lay_out(tmp_path / "own/MNIST/raw", tiny_mnist, packed=True)
    kept = own / "train-images-idx3-ubyte.gz"
    before = kept.stat().st_mtime_ns
    (own / "t10k-labels-idx1-ubyte.gz").unlink()
    assert load("mnist", root=tmp_path / "own").test.targets.tolist() == [7, 2]
    assert kept.stat().st_mtime_ns == before
