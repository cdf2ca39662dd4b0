"""CIFAR-10: five batches of training images and one of test images. Krizhevsky (2009)."""

from flatmin.data.cifar import cifar_publication
from flatmin.data.files import Layout

_BINARY = {
    "data_batch_1.bin": "5dd7e06a14cb22eb9f671a540d1b7c25",
    "data_batch_2.bin": "5ea93a67294ea407fff1d09f752e9692",
    "data_batch_3.bin": "942cd6a4bcdd0dd3c604fbe906cb4421",
    "data_batch_4.bin": "ae636b3ba5c66a11e91e8cb52e771fcb",
    "data_batch_5.bin": "53f37980c15c3d472c316c40844f3f0d",
    "test_batch.bin": "803d5f7f4d78ea53de84dbe85f74fb6d",
}
"""The images of the Python batches in the same order; their SHA-1 is the one that Gluon checks."""

PUBLICATION = cifar_publication(
    name="cifar10",
    words="CIFAR-10",
    num_classes=10,
    folder="cifar-10-batches-py",
    archive=("cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a"),
    md5={
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
    },
    test="test_batch",
    key="labels",
    binary=tuple(Layout("cifar-10-batches-bin", _BINARY, place) for place in (None, "cifar-10-binary.tar.gz")),
)
