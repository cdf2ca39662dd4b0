"""What the sharpest directions explain of the sharpness: closed forms, brute force over corners, and laws."""

import itertools
import math

import numpy as np
import pytest
import torch

from flatmin import Objective, explained, load, top_eigenvalues
from flatmin.core.functions import FunctionObjective, QuadraticObjective
from flatmin.sharpness.quadratic import corners_of_spans, highest_in_box

EPSILON = 0.1


def form(seed, size=9, *, least=0.5):
    """A symmetric matrix with known eigenpairs, descending, a slope, and half-widths that differ."""
    random = np.random.default_rng(seed)
    basis = np.linalg.qr(random.standard_normal((size, size)))[0]
    values = np.sort(random.uniform(least, 9.0, size))[::-1]
    return (
        basis @ np.diag(values) @ basis.T,
        values,
        basis.T,
        random.standard_normal(size),
        random.uniform(0.5, 2, size),
    )


def corners(width):
    return np.array(list(itertools.product((-1.0, 1.0), repeat=len(width)))) * width


def bowl(seed, **options):
    """The form as a loss about a point that is not the origin, with its gradient there and its box."""
    matrix, values, vectors, slope, theta = form(seed, **options)
    linear = torch.tensor(slope - matrix @ theta)
    constant = 5 - float(slope @ theta) + float(theta @ matrix @ theta) / 2
    objective = QuadraticObjective(torch.tensor(matrix), linear=linear, constant=constant, theta=torch.tensor(theta))
    return objective, matrix, values, vectors, slope, EPSILON * (np.abs(theta) + 1)


@pytest.mark.parametrize("seed", range(4))
def test_of_a_quadratic_every_number_is_its_closed_form(seed):
    objective, matrix, values, vectors, slope, width = bowl(seed)
    found = explained(objective, epsilon=EPSILON, k=4, tolerance=1e-9)
    places = corners(width)
    heights = places @ slope + np.einsum("ci,ij,cj->c", places, matrix, places) / 2
    highest = found.worst_rise
    assert heights.max() * 0.99 <= highest <= heights.max() * (1 + 1e-12)
    assert found.base_loss == pytest.approx(5) and found.sharpness == pytest.approx(100 * highest / 6)
    assert found.model_at_worst == pytest.approx(highest)
    assert highest * (1 - 1e-12) <= found.model_highest <= heights.max() * (1 + 1e-12)
    assert found.eigenvalues.tolist() == pytest.approx(values[:4].tolist())
    steps = (width / np.abs(vectors[:4])).min(1)
    up, bend = np.abs(vectors[:4] @ slope) * steps, values[:4] * steps**2 / 2
    assert found.lengths.tolist() == pytest.approx(steps.tolist())
    for rises in (found.uphill, found.uphill_model):
        assert rises.tolist() == pytest.approx((bend + up).tolist())
    for rises in (found.downhill, found.downhill_model):
        assert rises.tolist() == pytest.approx((bend - up).tolist())
    corner = width * np.sign(vectors[0])
    assert float(found.corner_models[0]) == pytest.approx(values[0] * (vectors[0] @ corner) ** 2 / 2)
    rise = corner @ matrix @ corner / 2 + abs(slope @ corner)
    assert float(found.corner_rises[0]) == pytest.approx(rise)
    assert float(found.shares[0]) == pytest.approx(rise / highest)
    d = found.perturbation.numpy()
    along = vectors[:4] @ d
    for k in range(1, 5):
        part = vectors[:k].T @ along[:k]
        for step, rises in ((part, found.within), (d - part, found.without)):
            assert float(rises[k - 1]) == pytest.approx(slope @ step + step @ matrix @ step / 2)
    assert found.length_shares.tolist() == pytest.approx((np.cumsum(along**2) / (d @ d)).tolist())
    curved = np.cumsum(values[:4] * along**2) / (d @ matrix @ d)
    assert found.curvature_shares.tolist() == pytest.approx(curved.tolist())
    assert found.linear == pytest.approx(width @ np.abs(slope))
    steepest = width * np.sign(slope)
    assert found.linear_rise == pytest.approx(slope @ steepest + steepest @ matrix @ steepest / 2)


@pytest.mark.parametrize("seed", range(6))
def test_corners_of_spans_against_all_corners(seed):
    _, values, vectors, _, width = form(seed)
    places = corners(width)
    found = corners_of_spans(torch.tensor(values.copy()), torch.tensor(vectors.copy()), torch.tensor(width))
    before = 0.0
    for k, (corner, value) in enumerate(found, 1):
        sums = (values[:k] * (places @ vectors[:k].T) ** 2).sum(1) / 2
        assert torch.equal(corner.abs(), torch.tensor(width))
        assert before <= value <= sums.max() * (1 + 1e-12)
        assert value >= (1 if k == 1 else 0.85) * sums.max() * (1 - 1e-12)
        before = value


@pytest.mark.parametrize("least", [0.5, -6.0])
@pytest.mark.parametrize("seed", range(4))
def test_the_climb_in_the_box_never_falls_and_ends_where_the_model_has_no_way_up(seed, least):
    matrix, _, _, slope, width = form(seed, least=least)
    product = torch.tensor(matrix)
    start = torch.tensor(width / 3)

    def height(d):
        return float(slope @ d + d @ matrix @ d / 2)

    found = highest_in_box(lambda v: product @ v, torch.tensor(slope), torch.tensor(width), start, products=500)
    point = found.point.numpy()
    assert found.value == pytest.approx(height(point)) and found.value >= height(start.numpy())
    assert (np.abs(point) <= width * (1 + 1e-12)).all()
    gap = (slope + matrix @ point) @ (width * np.sign(slope + matrix @ point) - point)
    assert gap <= (1e-9 if least > 0 else 0.15) * max(1, abs(found.value))


def test_where_the_loss_is_no_quadratic_the_model_and_the_truth_part():
    flat = FunctionObjective(lambda t: (t**2).sum() / 2 + 100 * t[2] ** 4, torch.zeros(3, dtype=torch.float64))
    found = explained(flat, epsilon=1.0, k=2)
    assert found.model_highest == pytest.approx(1.5) and found.worst_rise == pytest.approx(101.5)
    steep = FunctionObjective(lambda t: 4 * t[0] ** 2 + 100 * t[1] ** 4, torch.zeros(2, dtype=torch.float64))
    sharpest = explained(steep, epsilon=1.0, k=1)
    assert float(sharpest.shares[0]) == pytest.approx(4 / 104) and float(sharpest.without[0]) == pytest.approx(100)


def test_at_a_point_without_rise_there_is_no_share():
    hill = QuadraticObjective([-1.0, -2.0], constant=3.0)
    found = explained(hill, epsilon=0.1)
    assert found.worst_rise == 0 and found.shares.isnan().all() and found.curvature_shares.isnan().all()


def test_eigenvalues_found_before_save_the_search_and_give_the_same():
    objective = bowl(0)[0]
    known = top_eigenvalues(objective, 3, tolerance=1e-2, copies=False)
    plain, given = explained(objective, k=3), explained(objective, eigenvalues=known)
    assert given.shares.tolist() == plain.shares.tolist() and given.products == plain.products - known.products
    smallest = top_eigenvalues(objective, 2, "smallest")
    with pytest.raises(ValueError, match="`eigenvalues` must be the largest ones of 9 weights, got the smallest of 9"):
        explained(objective, eigenvalues=smallest)
    with pytest.raises(ValueError, match="largest ones of 2 weights, got the largest of 9"):
        explained(QuadraticObjective([1.0, 2.0]), eigenvalues=known)


@pytest.mark.parametrize("wrong", [{"epsilon": 0.0}, {"k": 0}, {"seed": -1}, {"tolerance": -1.0}])
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(ValueError, match=f"`{next(iter(wrong))}` must be"):
        explained(QuadraticObjective([1.0, 2.0]), **wrong)


def test_it_is_kept_drawn_and_told(tmp_path):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.BatchNorm1d(4), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    batch = torch.randn(12, 3), torch.arange(12) % 2
    objective = Objective(model, torch.nn.functional.cross_entropy, [batch], batch_norm="batch")
    found = explained(objective, epsilon=1e-2, k=3)
    again = load(found.save(tmp_path / "it.npz"))
    assert torch.equal(again.shares, found.shares) and len(found.to_frame()) == 3
    assert "of the rise" in repr(found) and "batch_norm='batch'" in repr(found)
    assert found.plot(title="mine").get_title(loc="left") == "mine"
    assert math.isclose(float(found), float(found.shares[-1]))
