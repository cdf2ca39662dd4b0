import pytest
import torch
from torch import nn

from flatmin.core.functions import FunctionObjective
from flatmin.core.vectors import cosine
from flatmin.landscapes import filter_normalized, plane_through
from flatmin.objective.objective import Objective


@pytest.fixture
def objective(network, batches):
    return Objective(network, torch.nn.functional.cross_entropy, batches, dtype=torch.float64)


def filters(objective, vector):
    """The filters of a flat vector by a route of its own: one row an output of a weight, one a bias parameter."""
    rows, start = [], 0
    for shape in objective.shapes.values():
        part = vector[start : start + shape.numel()].reshape(shape)
        rows += list(part) if len(shape) > 1 else [part]
        start += shape.numel()
    return rows


def test_every_filter_has_the_norm_of_the_networks_own(objective):
    pairs = list(
        zip(filters(objective, filter_normalized(objective)), filters(objective, objective.theta), strict=True)
    )
    weights = [(d, w) for d, w in pairs if w.shape in {(1, 3, 3), (64,), (5,)} and d.any()]
    assert len(weights) == 4 + 5 + 3
    for direction, weight in weights:
        assert float(direction.norm()) == pytest.approx(float(weight.norm()), rel=1e-12)


def test_parameters_of_one_dimension_are_left_where_they_are(objective):
    direction = objective.unflatten(filter_normalized(objective))
    flat = [name for name, shape in objective.shapes.items() if len(shape) == 1]
    assert len(flat) == 7  # three biases, two scales, two shifts
    assert not any(direction[name].any() for name in flat)


def test_within_a_filter_only_the_length_is_changed(objective):
    noise = torch.randn(objective.size, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    pairs = zip(filters(objective, filter_normalized(objective, 5)), filters(objective, noise), strict=True)
    for direction, drawn in pairs:
        assert not direction.any() or cosine(direction.flatten(), drawn.flatten()) == pytest.approx(1, abs=1e-12)


def test_norms_can_be_taken_at_another_point(objective):
    doubled = filter_normalized(objective, theta=2 * objective.theta)
    torch.testing.assert_close(doubled, 2 * filter_normalized(objective), rtol=1e-12, atol=0)


def test_a_filter_of_zeros_stays_put(objective):
    direction = filter_normalized(objective, theta=torch.zeros(objective.size))
    assert torch.equal(direction, torch.zeros(objective.size, dtype=torch.float64))


def test_a_function_of_a_vector_is_one_filter():
    theta = torch.tensor([3.0, 0.0, 4.0])
    direction = filter_normalized(FunctionObjective(torch.sum, theta))
    assert float(direction.norm()) == pytest.approx(5, rel=1e-6)
    assert direction[1] != 0


def test_a_long_float32_filter_keeps_its_norm():
    theta = torch.randn(3_000_000, generator=torch.Generator().manual_seed(0))
    direction = filter_normalized(FunctionObjective(torch.sum, theta))
    assert float(direction.double().norm()) == pytest.approx(float(theta.double().norm()), rel=1e-6)


def test_entries_are_gaussian_and_draws_nearly_orthogonal():
    objective = FunctionObjective(torch.sum, torch.ones(100_000, dtype=torch.float64))
    direction, other = filter_normalized(objective, 0), filter_normalized(objective, 1)
    assert abs(float(direction.mean())) < 3 / 100_000**0.5
    assert float((direction**4).mean()) == pytest.approx(3, abs=3 * (96 / 100_000) ** 0.5)
    assert abs(cosine(direction, other)) < 3 / 100_000**0.5


def test_one_seed_one_direction_and_the_global_generator_is_left_alone(objective, network, batches):
    state = torch.random.get_rng_state()
    direction = filter_normalized(objective, 7)
    assert torch.equal(state, torch.random.get_rng_state())
    assert torch.equal(direction, filter_normalized(objective, 7))
    assert not torch.equal(direction, filter_normalized(objective, 8))
    single = filter_normalized(Objective(network, torch.nn.functional.cross_entropy, batches), 7)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), direction, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("seed", "error", "message"),
    [
        (-1, ValueError, "`seed` must be at least 0, got -1"),
        (0.5, TypeError, "`seed` must be an int, got float"),
        (True, TypeError, "`seed` must be an int, got bool"),
    ],
)
def test_a_bad_seed_is_refused(objective, seed, error, message):
    with pytest.raises(error, match=message):
        filter_normalized(objective, seed)


def test_a_theta_that_does_not_fit_is_refused(objective):
    with pytest.raises(ValueError, match=r"`theta` must have shape \(\d+,\), got \(3,\)"):
        filter_normalized(objective, theta=torch.ones(3))


def test_the_plane_holds_its_three_points():
    generator = torch.Generator().manual_seed(0)
    points = [torch.randn(50, dtype=torch.float64, generator=generator) for _ in range(3)]
    plane = plane_through(*points)
    for point, (alpha, beta) in zip(points, plane.coordinates.tolist(), strict=True):
        rebuilt = plane.origin + alpha * plane.axes[0] + beta * plane.axes[1]
        torch.testing.assert_close(rebuilt, point, rtol=1e-12, atol=1e-12)


def test_the_plane_keeps_distances_and_has_right_angles():
    generator = torch.Generator().manual_seed(1)
    points = [torch.randn(1000, generator=generator) for _ in range(3)]
    plane = plane_through(*points)
    first, second = (axis.double() for axis in plane.axes)
    assert [float(first @ first), float(second @ second)] == pytest.approx([1, 1], rel=1e-6)
    assert float(first @ second) == pytest.approx(0, abs=1e-6)
    for i, k in [(0, 1), (0, 2), (1, 2)]:
        drawn = float((plane.coordinates[i] - plane.coordinates[k]).norm())
        assert drawn == pytest.approx(float((points[i] - points[k]).double().norm()), rel=1e-6)


@pytest.mark.parametrize(("points", "margin"), [(2, 0.0), (21, 0.2), (8, 1.0)])
def test_the_grid_of_a_plane_through_three_points_encloses_them(points, margin):
    plane = plane_through(torch.tensor([1.0, 0.0]), torch.tensor([4.0, 0.0]), torch.tensor([0.0, 2.0]))
    where = plane.coordinates.numpy()  # (0, 0), (3, 0), (-1, 2): four wide, two high
    for axis, low, high in zip(plane.grid(points, margin), where.min(0), where.max(0), strict=True):
        assert len(axis) == points and float(axis.diff().max() - axis.diff().min()) < 1e-12
        assert (float(axis[0]), float(axis[-1])) == pytest.approx((low - 4 * margin, high + 4 * margin))


@pytest.mark.parametrize(
    ("grid", "error"), [({"points": 1}, ValueError), ({"points": 2.5}, TypeError), ({"margin": -0.1}, ValueError)]
)
def test_a_grid_that_encloses_nothing_is_refused(grid, error):
    plane = plane_through(*torch.eye(3))
    with pytest.raises(error, match=next(iter(grid))):
        plane.grid(**grid)


def test_points_that_span_no_plane_are_refused():
    start, step = torch.ones(4), torch.tensor([1.0, 2.0, 3.0, 4.0])
    with pytest.raises(ValueError, match="on one line and span no plane"):
        plane_through(start, start + step, start - 3 * step)
    with pytest.raises(ValueError, match="on one line and span no plane"):
        plane_through(start, start + step, start)
    with pytest.raises(ValueError, match="`second` must differ from `first`"):
        plane_through(start, start, start + step)
    with pytest.raises(ValueError, match=r"vectors of one length, got shapes \(4,\), \(4,\), \(3,\)"):
        plane_through(start, start + step, step[:3])


class Conv1D(nn.Module):
    """As GPT-2's: a linear layer whose weight has what comes in along its first axis."""

    def __init__(self, nf: int, nx: int) -> None:
        super().__init__()
        self.nf = nf
        self.weight = nn.Parameter(torch.randn(nx, nf))

    def forward(self, x):
        return x @ self.weight


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: nn.Conv2d(4, 6, 3, bias=False), (2, 4, 5, 5)),
        (lambda: nn.Conv2d(4, 6, 3, groups=2, bias=False), (2, 4, 5, 5)),
        (lambda: nn.Conv2d(4, 8, 3, groups=4, bias=False), (2, 4, 5, 5)),
        (lambda: nn.ConvTranspose2d(4, 6, 3, bias=False), (2, 4, 5, 5)),
        (lambda: nn.ConvTranspose2d(4, 6, 3, groups=2, bias=False), (2, 4, 5, 5)),
        (lambda: nn.ConvTranspose1d(6, 6, 3, groups=3, bias=False), (2, 6, 5)),
        (lambda: nn.ConvTranspose3d(2, 4, 2, bias=False), (2, 2, 3, 3, 3)),
        (lambda: nn.Linear(4, 6, bias=False), (2, 4)),
        (lambda: Conv1D(6, 4), (2, 4)),
    ],
)
def test_a_filter_is_what_makes_one_output_channel(make, shape):
    torch.manual_seed(0)
    layer = make().double()
    inputs = torch.rand(shape, dtype=torch.float64) + 0.1
    objective = Objective(layer, lambda out, _: out.mean(), [(inputs, torch.zeros(2))])
    drawn = filter_normalized(objective).view_as(layer.weight)
    for channel in range(layer(inputs).shape[1]):
        (slope,) = torch.autograd.grad(layer(inputs)[:, channel].sum(), layer.weight)
        makes = slope != 0
        assert 0 < makes.sum() < makes.numel()
        lengths = [float(w.detach()[makes].norm()) for w in (drawn, layer.weight)]
        assert lengths[0] == pytest.approx(lengths[1], rel=1e-12)
