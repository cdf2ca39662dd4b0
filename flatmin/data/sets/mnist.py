"""MNIST: four IDX files, gzipped by whomever or not, or the archive of Keras. LeCun, Cortes and Burges (1998)."""

from flatmin.data.files import Layout
from flatmin.data.idx import SHAPE, decode
from flatmin.data.keras import idx_members
from flatmin.data.publication import Download, Publication

_PACKED = {
    "train-images-idx3-ubyte.gz": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte.gz": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte.gz": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte.gz": "ec29112dd5afa0611ce80d1b7f02629c",
}
_UNPACKED = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}

_HELD = {name: _UNPACKED[name.removesuffix(".gz")] for name in _PACKED}

PUBLICATION = Publication(
    name="mnist",
    words="MNIST",
    source="http://yann.lecun.com/exdb/mnist/",
    num_classes=10,
    input_shape=SHAPE,
    num_train=60_000,
    num_test=10_000,
    decode=decode,
    layouts=(
        *(Layout(folder, md5, unpacked_md5=_HELD) for folder in ("MNIST/raw", "mnist") for md5 in (_PACKED, _UNPACKED)),
        Layout("", _UNPACKED, "mnist.npz", unpack=idx_members),
    ),
    downloads=tuple(
        Download(f"https://ossci-datasets.s3.amazonaws.com/mnist/{name}", f"MNIST/raw/{name}", md5)
        for name, md5 in _PACKED.items()
    ),
)
