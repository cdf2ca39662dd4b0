r"""Random flips, rotations and shifts of training images, one affine map an image.

Keskar et al. (2017), appendix E.1 and Table 6: horizontal flips, rotations of up to 10 degrees, translations of up to
0.2 of the side. The paper does not say how often images are flipped, how the amounts are distributed, or what fills the
space that opens up: here p = 1/2, uniform, and zeros.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from flatmin.core.checked import Checked

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Augmentation(Checked):
    """What is drawn for every image of a batch, each time it is shown; the defaults are the paper's.

    Attributes:
        flip: Mirror left and right with probability 1/2.
        rotation: Largest angle in degrees; uniform in both directions.
        translation: Largest shift as a share of the side; uniform in both directions, for each side on its own.
    """

    flip: bool = True
    rotation: Annotated[float, Field(ge=0, le=180)] = 10.0
    translation: Annotated[float, Field(ge=0, lt=1)] = 0.2

    def __call__(self, images: "Tensor") -> "Tensor":
        """The images (N, C, H, W), each changed by its own draw from torch's generator of their device.

        Raises:
            ValueError: If ``images`` has another number of dimensions.
        """
        import torch

        if images.ndim != 4:
            raise ValueError(f"`images` must have shape (N, C, H, W) to be augmented, got {tuple(images.shape)}.")
        draws = torch.rand(4, len(images), device=images.device)
        mirrored = draws[0] < 0.5 if self.flip else torch.zeros_like(draws[0], dtype=torch.bool)
        angle = self.rotation * (2 * draws[1] - 1)
        shift = self.translation * (2 * draws[2:].T - 1)
        return moved(images, mirrored, angle, shift)


def moved(images: "Tensor", mirrored: "Tensor", angle: "Tensor", shift: "Tensor") -> "Tensor":
    r"""Images mirrored left and right, then rotated about their centre, then shifted.

    The pixel at p of the result is the bilinear value at :math:`M^{-1} R^{-1} (p - s)` of the image, 0 outside of it;
    all in one resampling.

    Args:
        images: (N, C, H, W).
        mirrored: Which to mirror (N,).
        angle: Degrees, anticlockwise as seen with the first row on top (N,).
        shift: To the right and downwards, as shares of width and height (N, 2).
    """
    import torch
    from torch.nn import functional as F

    height, width = images.shape[-2:]
    radians = torch.deg2rad(angle)
    cosine, sine = radians.cos(), radians.sin()
    sign = 1 - 2 * mirrored.to(cosine.dtype)
    ratio = height / width  # grid_sample counts both sides from -1 to 1, whatever their lengths
    linear = torch.stack([sign * cosine, -sign * sine * ratio, sine / ratio, cosine], dim=1).view(-1, 2, 2)
    constant = -linear @ (2 * shift).unsqueeze(2)
    grid = F.affine_grid(torch.cat([linear, constant], dim=2), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid.to(images.dtype), padding_mode="zeros", align_corners=False)
