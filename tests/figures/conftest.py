import itertools
import math

import numpy as np
import pytest
from invented import rows_of

from flatmin.results import Tables

REGIMES = ("small_batch", "large_batch")
SPLITS = ("train", "test")
REDUCED = [
    "3 seeds instead of 5, so the standard deviations are rough.",
    "The sharpness is searched on 500 of the 1,437 training examples, the random subspace has 20 instead of 100 "
    "dimensions and one draw per seed.",
    "Planes on a 25 × 25 grid and for the first seed only; paths on 25 points.",
]
PROVENANCE = {"reduced": REDUCED, "examples": {"lines": 500, "planes": 500}}


def build(
    *,
    network: str = "F1",
    data: str = "digits",
    seeds: tuple[int, ...] = (0, 1, 2),
    readings: tuple[str, ...] = ("running", "batch"),
    grid: int = 25,
    sharper: str = "large_batch",
) -> Tables:
    """Every table of one network and data set; the regime named by `sharper` is the sharp one."""
    random = np.random.default_rng(0)
    parts = {
        "curves": curves(seeds, random),
        "minima": minima(seeds, random),
        "sharpness": searches(seeds, readings, sharper, random),
        "lines": lines(seeds, readings, sharper, random),
        "planes": planes(seeds[:1], readings, grid, sharper),
        "points": points(seeds[:1]),
    }
    frames = {name: rows_of(name, rows, network=network, data=data) for name, rows in parts.items()}
    return Tables(**frames, provenance=dict(PROVENANCE))


def curves(seeds, random):
    for seed, regime in itertools.product(seeds, REGIMES):
        speed = random.uniform(0.9, 1.1) * (0.15 if regime == "small_batch" else 0.06)
        for epoch, split in itertools.product(range(41), SPLITS):
            loss = 2.3 * math.exp(-speed * epoch) + (0.12 if split == "test" else 2e-4)
            accuracy = 1 - 0.9 * math.exp(-speed * epoch) - (0.03 if split == "test" else 0)
            yield {
                **{"regime": regime, "seed": seed, "epoch": epoch, "split": split},
                **{"loss": loss, "accuracy": max(0.1, accuracy)},
            }


def minima(seeds, random):
    for seed, regime in itertools.product(seeds, REGIMES):
        small = regime == "small_batch"
        yield {
            **{"regime": regime, "batch_size": 32 if small else 1437, "seed": seed, "status": "finished"},
            **{"epochs": 40, "train_loss": 2e-4, "train_accuracy": 1.0, "test_loss": 0.12},
            **{"test_accuracy": (0.97 if small else 0.95) + random.normal(0, 0.003), "distance_from_start": 9.0},
        }


def searches(seeds, readings, sharper, random):
    spaces = (("full", math.nan, math.nan), ("random", 20.0, 0.0))
    settings = itertools.product(spaces, (1e-3, 5e-4), ("paper", "strong"), readings, seeds, REGIMES)
    for (space, dim, draw), epsilon, method, reading, seed, regime in settings:
        value = 1.3 * (1 if space == "full" else 0.05) * epsilon / 1e-3 * random.lognormal(0, 0.3)
        value *= 60 if regime == sharper else 1
        value *= 0.3 if method == "paper" else 1
        yield {
            **{"regime": regime, "seed": seed, "space": space, "subspace_dim": dim, "draw": draw},
            **{"epsilon": epsilon, "method": method, "batch_norm": reading, "examples": 500},
            **{"sharpness": value, "base_loss": 2e-4, "worst_loss": 2e-4 + value / 100, "evaluations": 42},
            **{"share_at_bound": 0.9, "perturbation_norm": 0.3, "spread": 0.02},
            "converged": not (method == "paper" and seed == seeds[0]),
        }


def lines(seeds, readings, sharper, random):
    alphas = np.linspace(-1, 2, 25)
    for seed, reading, split in itertools.product(seeds, readings, SPLITS):
        height = random.uniform(0.8, 1.2)
        rise = 0.12 if split == "test" else 2e-4
        for alpha in alphas:
            wall = 16 / (1 + math.exp(-14 * (alpha - 1.25)))
            loss = rise + height * (0.3 * max(0, -alpha) ** 2 + 0.8 * math.exp(-(((alpha - 0.75) / 0.15) ** 2)) + wall)
            names = {"seed": seed, "regime": "between", "batch_norm": reading, "alpha": alpha, "split": split}
            yield names | {"kind": "linear", "loss": loss, "accuracy": 0.98 * math.exp(-0.3 * loss)}
            bent = rise + 16 * math.sin(math.pi * alpha) ** 8 * (abs(alpha - 0.5) > 0.5) + height * loss / 20
            yield names | {"kind": "curved", "loss": bent, "accuracy": 0.98 * math.exp(-0.3 * bent)}
        for regime, alpha in itertools.product(REGIMES, np.linspace(-1, 1, 25)):
            loss = rise + height * (12 if regime == sharper else 0.8) * alpha**2
            names = {"seed": seed, "kind": "random", "regime": regime, "batch_norm": reading, "alpha": alpha}
            yield names | {"split": split, "loss": loss, "accuracy": 0.98 * math.exp(-0.6 * loss)}


def planes(seeds, readings, grid, sharper):
    steps = np.linspace(-1, 1, grid)
    for seed, reading, regime in itertools.product(seeds, readings, REGIMES):
        for alpha, beta in itertools.product(steps, steps):
            narrow = 9 * (0.8 * alpha + 0.6 * beta) ** 2 + 0.8 * (0.6 * alpha - 0.8 * beta) ** 2
            wide = 0.5 * (alpha**2 + beta**2)
            loss = 2e-4 + (narrow if regime == sharper else wide) * 2.5
            if reading == "running" and regime == sharper and alpha > 0.7 and beta > 0.7:
                loss = math.inf if beta > 0.9 else math.nan
            names = {"seed": seed, "kind": "random", "regime": regime, "batch_norm": reading, "split": "train"}
            yield names | {"alpha": alpha, "beta": beta, "loss": loss, "accuracy": math.exp(-loss)}
    for seed, alpha, beta in itertools.product(seeds, np.linspace(-2, 9, grid), np.linspace(-2, 7, grid)):
        small, large = math.hypot(alpha - 7, beta), 4 * math.hypot(alpha - 1.5, beta - 5)
        loss = 2e-4 + 2.3 * (1 - math.exp(-0.05 * small**2)) * (1 - math.exp(-0.05 * large**2)) + 0.02 * beta**2
        names = {"seed": seed, "kind": "three_points", "regime": "between", "batch_norm": readings[0]}
        yield names | {"alpha": alpha, "beta": beta, "split": "train", "loss": loss, "accuracy": math.exp(-loss)}


def points(seeds):
    for seed, (label, alpha, beta) in itertools.product(
        seeds, [("start", 0.0, 0.0), ("small_batch", 7.0, 0.0), ("large_batch", 1.5, 5.0)]
    ):
        yield {"seed": seed, "kind": "three_points", "label": label, "alpha": alpha, "beta": beta}


@pytest.fixture(scope="session")
def tables() -> Tables:
    return build(grid=9)


@pytest.fixture(scope="session")
def make():
    return build


def study(kind: str, *, seeds: tuple[int, ...] = (0, 1), network: str = "C1", data: str = "cifar10") -> Tables:
    """Tables of a sweep, a warm start, remedies, networks on their way or the effort, beside the pair."""
    random = np.random.default_rng(1)
    ways = {"small_batch": (256, math.nan, 30.0), "large_batch": (5000, math.nan, 700.0), **WAYS.get(kind, {})}
    rows: dict[str, list[dict]] = {"curves": [], "minima": [], "sharpness": [], "effort": []}
    for seed, (regime, (size, start, sharpness)) in itertools.product(seeds, ways.items()):
        names = {"regime": regime, "seed": seed}
        accuracy = 0.81 - 0.012 * math.log10(sharpness) + random.normal(0, 0.002)
        for epoch, split in itertools.product(range(21), SPLITS):
            loss, seen = 2.3 * math.exp(-epoch / 4), accuracy * (1 - math.exp(-(epoch + 0.3) / 4))
            rows["curves"].append(names | {"epoch": epoch, "split": split, "loss": loss, "accuracy": seen})
        minimum = {"batch_size": size, "start_epoch": start, "status": "finished", "epochs": 20}
        rows["minima"].append(names | minimum | {"test_accuracy": accuracy, "train_accuracy": 1.0})
        epochs = (0, 2, 5, 10, math.nan) if kind == "on_the_way" else (math.nan,)
        for epoch, epsilon, method in itertools.product(epochs, (1e-3, 5e-4), ("paper", "strong")):
            value = sharpness * (epsilon / 1e-3) ** 1.5 * (3 if method == "strong" else 1) * random.lognormal(0, 0.2)
            value *= 1 if math.isnan(epoch) else (30 / sharpness) ** (1 - epoch / 20)
            search = {"epoch": epoch, "space": "full", "distribution": "identity", "draw": 0, "epsilon": epsilon}
            search |= {"method": method, "batch_norm": "batch", "examples": 5000, "sharpness": value}
            rows["sharpness"].append(names | search | {"converged": True, "spread": math.nan})
        for reading, climber, begin in itertools.product(("batch", "running"), CLIMBERS, ("centre", "sign", "random")):
            if kind != "effort" or not math.isnan(start):
                break
            for evaluations in (1, 2, 4, 9, 14, 30, 77, 100):
                value = sharpness * (1 - math.exp(-evaluations / CLIMBERS[climber])) * (evaluations > 1)
                value *= (20 if reading == "running" else 1) * random.uniform(0.9, 1.0)
                climb = {"space": "full", "epsilon": 1e-3, "batch_norm": reading, "examples": 5000}
                climb |= {"climber": climber, "start": begin, "evaluations": evaluations, "sharpness": value}
                rows["effort"].append(names | climb)
    frames = {name: rows_of(name, found, network=network, data=data) for name, found in rows.items() if found}
    experiment = {"name": f"{kind}_c1", "variations": VARIATIONS.get(kind, {})}
    return Tables(**frames, provenance={"experiment": experiment, "reduced": [f"{len(seeds)} seeds instead of 5."]})


CLIMBERS = {"lbfgsb": 300.0, "corner_steps": 5.0, "projected_gradient": 40.0}
SIZES = {100: 4.0, 497: 53.0, 1027: 201.0, 3013: 630.0}
EPOCHS = {1: 530.0, 6: 380.0, 11: 171.0, 16: 90.0}
WAYS: dict[str, dict[str, tuple[int, float, float]]] = {
    "sweep": {f"sweep_{size}": (size, math.nan, value) for size, value in SIZES.items()},
    "warm_start": {f"warm_start_{epoch}": (5000, float(epoch), value) for epoch, value in EPOCHS.items()},
    "remedies": {
        "small_batch_augmented": (256, math.nan, 20.0),
        "large_batch_augmented": (5000, math.nan, 230.0),
        "conservative": (5000, math.nan, 520.0),
        "robust": (5000, math.nan, 60.0),
        "adversarial": (5000, math.nan, 650.0),
        "stability": (5000, math.nan, 610.0),
    },
}
VARIATIONS = {
    "sweep": {"sweep": {"batch_size": list(SIZES), "augmentation": None, "method": None, "start": None}},
    "warm_start": {"warm_start": {"batch_size": "10%", "start": {"regime": "small_batch", "epochs": list(EPOCHS)}}},
}


@pytest.fixture(scope="session")
def make_study():
    return study
