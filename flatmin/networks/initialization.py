"""The start of Keskar et al.'s networks: Glorot-uniform weights, zero biases, BatchNorm at the identity."""

from torch import nn

BATCH_NORM_EPSILON = 1e-3


def glorot_uniform(network: nn.Module) -> None:
    """Set every linear and convolutional weight to U(-a, a), a = sqrt(6 / (fan_in + fan_out)), biases to 0, in place.

    Glorot and Bengio (2010), equation 16; the default of the Keras version that the authors' code ran on.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
