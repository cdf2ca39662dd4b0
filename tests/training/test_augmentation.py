"""Augmented images against SciPy's resampling, exact cases, and the distribution of the draws."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage, stats
from torch import Tensor, nn

from flatmin.data.batches import Pair
from flatmin.training import Augmentation, Conservative, Method, TrainingSettings, augmentation, train
from flatmin.training.augmentation import moved


def images(count: int, height: int, width: int, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(seed))


def still(pictures: Tensor, **changed: Tensor) -> Tensor:
    count = len(pictures)
    none = {
        "mirrored": torch.zeros(count, dtype=torch.bool),
        "angle": torch.zeros(count),
        "shift": torch.zeros(count, 2),
    }
    return moved(pictures, **(none | changed))


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)


def test_all_off_is_the_identity() -> None:
    pictures = images(5, 8, 6)
    close(Augmentation(flip=False, rotation=0.0, translation=0.0)(pictures), pictures)


@pytest.mark.parametrize(("right", "down"), [(2, 0), (0, 3), (-1, 2), (-6, -8), (1, -7)])
def test_whole_pixels_are_a_roll_with_zeros(right: int, down: int) -> None:
    pictures = images(2, 8, 6)
    shift = torch.tensor([[right / 6, down / 8]]).expand(2, 2)
    expected = torch.zeros_like(pictures)
    for y in range(8):
        for x in range(6):
            if 0 <= y - down < 8 and 0 <= x - right < 6:
                expected[:, :, y, x] = pictures[:, :, y - down, x - right]
    close(still(pictures, shift=shift), expected)


@pytest.mark.parametrize("quarters", [1, 2, 3, -1])
def test_quarter_turns_are_rot90(quarters: int) -> None:
    pictures = images(3, 7, 7)
    turned = still(pictures, angle=torch.full((3,), 90.0 * quarters))
    close(turned, torch.rot90(pictures, quarters, dims=(2, 3)))


def test_half_a_turn_of_an_oblong_reverses_both_sides() -> None:
    pictures = images(3, 4, 9)
    close(still(pictures, angle=torch.full((3,), 180.0)), pictures.flip(2, 3))


def test_mirrored_is_a_flip_of_those_alone() -> None:
    pictures = images(4, 5, 6)
    mirrored = torch.tensor([True, False, False, True])
    found = still(pictures, mirrored=mirrored)
    close(found[mirrored], pictures[mirrored].flip(3))
    close(found[~mirrored], pictures[~mirrored])


def by_scipy(picture: np.ndarray, mirrored: bool, degrees: float, right: float, down: float) -> np.ndarray:
    """Mirror the array, then let SciPy rotate about the centre and shift, in coordinates (row, column)."""
    picture = picture[:, :, ::-1] if mirrored else picture
    angle = np.deg2rad(degrees)
    inverse = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
    height, width = picture.shape[1:]
    centre = (np.array([height, width]) - 1) / 2
    offset = centre - inverse @ (centre + np.array([down * height, right * width]))
    transform = {"offset": offset, "order": 1, "mode": "grid-constant"}
    return np.stack([ndimage.affine_transform(channel, inverse, **transform) for channel in picture])


@pytest.mark.parametrize(("height", "width"), [(8, 8), (9, 5), (4, 10)])
def test_against_scipy(height: int, width: int) -> None:
    generator = torch.Generator().manual_seed(1)
    pictures = images(12, height, width).double()
    angle = 360 * torch.rand(12, generator=generator) - 180
    shift = torch.rand(12, 2, generator=generator) - 0.5
    mirrored = torch.arange(12) % 2 == 0
    found = moved(pictures, mirrored, angle, shift)
    for index in range(12):
        drawn = bool(mirrored[index]), float(angle[index]), *shift[index].tolist()
        assert found[index].numpy() == pytest.approx(by_scipy(pictures[index].numpy(), *drawn), abs=1e-4)


def drawn(changes: Augmentation, monkeypatch: pytest.MonkeyPatch, count: int = 4000) -> dict[str, np.ndarray]:
    seen: dict[str, np.ndarray] = {}

    def notice(pictures: Tensor, mirrored: Tensor, angle: Tensor, shift: Tensor) -> Tensor:
        seen.update(mirrored=mirrored.numpy(), angle=angle.numpy(), right=shift[:, 0].numpy(), down=shift[:, 1].numpy())
        return pictures

    monkeypatch.setattr(augmentation, "moved", notice)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        changes(torch.zeros(count, 1, 2, 3))
    return seen


def test_draws_are_uniform_and_independent(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = drawn(Augmentation(), monkeypatch)
    for name, largest in (("angle", 10.0), ("right", 0.2), ("down", 0.2)):
        assert np.abs(seen[name]).max() <= largest
        assert stats.kstest(seen[name], stats.uniform(-largest, 2 * largest).cdf).pvalue > 0.01
    assert stats.binomtest(int(seen["mirrored"].sum()), 4000).pvalue > 0.01
    correlations = np.corrcoef(np.stack([values.astype(float) for values in seen.values()])) - np.eye(4)
    assert np.abs(correlations).max() < 4 / np.sqrt(4000)


def test_each_part_can_be_off(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not drawn(Augmentation(flip=False), monkeypatch)["mirrored"].any()
    assert not drawn(Augmentation(rotation=0.0), monkeypatch)["angle"].any()
    seen = drawn(Augmentation(translation=0.0), monkeypatch)
    assert not seen["right"].any() and not seen["down"].any() and seen["angle"].any()


def test_the_seed_decides_and_the_layout_may_be_channels_last() -> None:
    pictures = images(6, 8, 8)
    found = []
    with torch.random.fork_rng(devices=[]):
        for seed, layout in ((1, torch.contiguous_format), (1, torch.channels_last), (2, torch.contiguous_format)):
            torch.manual_seed(seed)
            found.append(Augmentation()(pictures.contiguous(memory_format=layout)))
    close(found[0], found[1])
    assert not torch.allclose(found[0], found[2], atol=1e-2)


SEEN: list[tuple[bool, Tensor]] = []


class Watching(nn.Module):
    """Linear, and writes down its mode and its inputs."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3 * 6 * 6, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        SEEN.append((self.training, inputs.detach().clone()))
        return self.layer(inputs.flatten(1))


@pytest.fixture
def watched() -> Callable[[Augmentation | None, Method | None], list[tuple[bool, Tensor]]]:
    def watch(changes: Augmentation | None, method: Method | None) -> list[tuple[bool, Tensor]]:
        SEEN.clear()
        targets = torch.arange(10) % 2
        settings = TrainingSettings(batch_size=5, epochs=2, augmentation=changes, method=method)
        train(Watching(), Pair(images(10, 6, 6), targets), Pair(images(4, 6, 6, 1), targets[:4]), settings)
        return list(SEEN)

    return watch


def test_training_batches_are_augmented_and_records_are_not(watched: Any) -> None:
    plain, augmented = watched(None, None), watched(Augmentation(), None)
    trained = [[inputs for training, inputs in seen if training] for seen in (plain, augmented)]
    assert len(trained[0]) == 4
    for before, after in zip(*trained, strict=True):
        assert ((before - after).abs().amax(dim=(1, 2, 3)) > 1e-3).all()
    recorded = [inputs for training, inputs in plain if not training]
    for after in (inputs for training, inputs in augmented if not training):
        assert any(torch.equal(before, after) for before in recorded)


def test_passes_over_one_batch_see_the_same_images_and_epochs_others(watched: Any) -> None:
    batches = [inputs for training, inputs in watched(Augmentation(), Conservative()) if training]
    assert len(batches) == 12
    for first, *others in (batches[start : start + 3] for start in range(0, 12, 3)):
        assert all(torch.equal(first, other) for other in others)
    assert not any(torch.allclose(batches[0], other, atol=1e-2) for other in batches[3:])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"flip": 0.5}, TypeError, "`flip` must be a bool, got float."),
        ({"rotation": -1.0}, ValueError, "`rotation` must lie in [0, 180], got -1.0."),
        ({"rotation": 181}, ValueError, "`rotation` must lie in [0, 180], got 181."),
        ({"translation": 1.0}, ValueError, "`translation` must lie in [0, 1), got 1.0."),
        ({"translation": float("nan")}, ValueError, "`translation` must lie in [0, 1), got nan."),
    ],
)
def test_amounts_out_of_range_are_named(change: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        Augmentation(**change)


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(ValueError, match=r"`images` must have shape \(N, C, H, W\) to be augmented, got \(5, 12\)\."):
        Augmentation()(torch.zeros(5, 12))
