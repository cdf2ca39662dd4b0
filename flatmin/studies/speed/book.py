"""Figs. 3.9 and 3.10 of Hung-yi Lee's book, read off: MNIST on a Tesla V100, the network is not named."""

UPDATE = {1: 0.006, 10: 0.007, 100: 0.024, 1000: 0.15, 10_000: 1.54, 60_000: 9.5}
"""Seconds of an update, by batch size."""
EPOCH = {1: 364.0, 10: 43.5, 100: 14.4, 1000: 9.25, 10_000: 9.25, 60_000: 9.25}
"""Seconds of an epoch; the last three are drawn between 9.0 and 9.5."""
