"""CIFAR-100: one batch of training and one of test images. Krizhevsky (2009)."""

from flatmin.data.cifar import cifar_publication

PUBLICATION = cifar_publication(
    name="cifar100",
    words="CIFAR-100",
    num_classes=100,
    folder="cifar-100-python",
    archive=("cifar-100-python.tar.gz", "eb9058c3a382ffc7106e4002c42a8d85"),
    md5={
        "train": "16019d7e3df5f24257cddd939b257f8d",
        "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
    },
    test="test",
    key="fine_labels",
)
