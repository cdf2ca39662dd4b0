"""The data as published: facts that are known from elsewhere."""

import pytest
import torch

from flatmin.core.errors import DataError
from flatmin.data import load
from flatmin.data.catalog import CATALOG

pytestmark = pytest.mark.data


def real(name, root, **options):
    entry = CATALOG[name]
    if not entry.bundled and all(layout.missing(root) for layout in entry.layouts):
        pytest.skip(entry.absence([root]))
    return load(name, root=root, download=False, **options)


@pytest.mark.parametrize("name", CATALOG)
def test_a_set_has_the_size_that_it_declares(name, data_root):
    entry, found = CATALOG[name], real(name, data_root, verify=False)
    assert (len(found.train), len(found.test)) == (entry.num_train, entry.num_test)
    for split in (found.train, found.test):
        assert split.inputs.shape[1:] == entry.input_shape and split.inputs.min() == 0 and split.inputs.max() == 1
        assert split.targets.unique().tolist() == list(range(entry.num_classes))


def channel_means(split):
    """Exact means: pixels are whole numbers of 255ths."""
    totals = [channel.mul(255).round().sum(dtype=torch.float64) for channel in split.inputs.unbind(1)]
    return torch.stack(totals) / (255 * split.inputs[:, 0].numel())


def test_mnist(data_root):
    mnist = real("mnist", data_root)
    assert mnist.provenance["verified"]
    assert (len(mnist.train), len(mnist.test)) == (60_000, 10_000)
    pixels = mnist.train.inputs.double()
    assert round(pixels.mean().item(), 4) == 0.1307
    assert round(pixels.std(correction=0).item(), 4) == 0.3081
    assert mnist.train.targets[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert mnist.test.targets[:5].tolist() == [7, 2, 1, 0, 4]
    assert mnist.train.targets.bincount().tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]


def test_cifar10(data_root):
    cifar = real("cifar10", data_root)
    assert cifar.provenance["verified"]
    assert cifar.train.inputs.shape == (50_000, 3, 32, 32)
    assert cifar.test.inputs.shape == (10_000, 3, 32, 32)
    expected = torch.tensor([0.49139968, 0.48215841, 0.44653091], dtype=torch.float64)
    torch.testing.assert_close(channel_means(cifar.train), expected, atol=5e-9, rtol=0)
    assert cifar.train.targets[:10].tolist() == [6, 9, 9, 4, 1, 1, 2, 7, 8, 3]
    assert cifar.test.targets[:10].tolist() == [3, 8, 8, 0, 6, 6, 1, 6, 3, 1]
    assert cifar.train.targets.bincount().tolist() == [5000] * 10
    assert (cifar.train.inputs[0, :, 0, 0] * 255).tolist() == [59, 62, 63]


def test_cifar100(data_root):
    cifar = real("cifar100", data_root, verify=False)
    expected = torch.tensor([0.5070751592371323, 0.48654887331495095, 0.4409178433670343], dtype=torch.float64)
    torch.testing.assert_close(channel_means(cifar.train), expected, atol=1e-14, rtol=0)
    expected = torch.tensor([0.5087964127604166, 0.48739301317401956, 0.44194221124387256], dtype=torch.float64)
    torch.testing.assert_close(channel_means(cifar.test), expected, atol=1e-14, rtol=0)
    assert cifar.train.targets.bincount().tolist() == [500] * 100
    assert cifar.test.targets.bincount().tolist() == [100] * 100
    assert cifar.train.targets[:5].tolist() == [19, 29, 0, 11, 1]
    assert cifar.test.targets[:5].tolist() == [49, 33, 72, 51, 71]
    if not cifar.provenance["verified"]:
        assert cifar.provenance["changed"] == ["train", "test"]
        with pytest.raises(DataError, match=r"train: md5 \w{32} differs from the published 16019d7e.*`verify: false`"):
            load("cifar100", root=data_root, download=False)
