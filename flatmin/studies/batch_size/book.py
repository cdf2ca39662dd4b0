"""Fig. 3.11 of Hung-yi Lee's book, read off: Adam, stopped early by a validation set; the network is not named."""

ACCURACY = {
    "mnist": {
        "train": {1: 0.982, 10: 0.991, 100: 0.992, 1000: 0.986, 10_000: 0.955, 60_000: 0.838},
        "test": {1: 0.992, 10: 0.993, 100: 0.992, 1000: 0.990, 10_000: 0.970, 60_000: 0.871},
    },
    "cifar10": {
        "train": {1: 0.580, 10: 0.560, 100: 0.438, 1000: 0.433, 10_000: 0.400, 50_000: 0.298},
        "test": {1: 0.611, 10: 0.551, 100: 0.458, 1000: 0.427, 10_000: 0.439, 50_000: 0.334},
    },
}
"""By data set and split; ``test`` is its validation set. What it draws at 60,000 on CIFAR-10 can only be all 50,000."""
