"""The adaptive average-case sharpness of normalised logits (Andriushchenko et al., 2023).

Neither a rescaling of the weights nor one of the outputs changes it. Its table has the mean rise under noise in
proportion to each weight, with the standard error that the noise leaves.
"""

from flatmin.measures.adaptive_average_case import AdaptiveAverageCaseSettings, under_noise


class LogitNormalizedAverageCaseSettings(AdaptiveAverageCaseSettings):
    """The mean rise of the loss of normalised logits under noise in proportion to the magnitude of each weight.

    Attributes:
        sigmas: Sizes of the noise.
        distribution: ``normal``, or ``uniform`` up to sigma.
        pairs: Pairs of opposite draws behind each number.
    """


MEASURE = under_noise(
    "logit_normalized_average_case",
    LogitNormalizedAverageCaseSettings,
    words="Logit-normalised adaptive average-case sharpness",
    noun="logit-normalised average-case sharpnesses",
    made="logit_normalized",
)
