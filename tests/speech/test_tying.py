"""Decision trees against brute force on the frames themselves, known clusters, and SciPy's Gaussian."""

import itertools

import numpy as np
import pytest
from scipy.stats import norm

from flatmin.core.errors import DataError
from flatmin.speech.tying import RELATIVE_FLOOR, StateStatistics, log_likelihood, tie

CLASSES = np.array([[1, 1, 0, 0, 0], [0, 0, 1, 1, 0], [0, 1, 0, 1, 0], [0, 0, 0, 0, 1]], bool)


def data(seed, frames=200, trees=2, dim=3):
    """Frames whose mean and spread depend on their context."""
    rng = np.random.default_rng(seed)
    contexts = np.stack([rng.integers(0, trees, frames), *rng.integers(0, 5, (2, frames))], axis=1)
    means = rng.normal(size=(trees, 5, 5, dim))
    scales = rng.uniform(0.5, 2, (trees, 5, 5, dim))
    place = tuple(contexts.T)
    return contexts, means[place] + scales[place] * rng.normal(size=(frames, dim))


def grown(contexts, features, leaves, occupancy=1, classes=CLASSES, trees=None):
    trees = sorted(set(contexts[:, 0].tolist())) if trees is None else trees
    return tie(StateStatistics.of(contexts, features), classes, num_leaves=leaves, min_occupancy=occupancy, trees=trees)


def likelihood(frames, floor):
    """Of frames (n, dim) under the Gaussian that fits them, from every single frame."""
    deviation = np.sqrt(np.maximum(frames.var(axis=0), floor))
    return norm.logpdf(frames, frames.mean(axis=0), deviation).sum()


def by_brute_force(contexts, features, leaves, occupancy):
    """Split sets of frames: of all splits of all sets, the best first."""
    floor = RELATIVE_FLOOR * features.var(axis=0)
    sets = [np.flatnonzero(contexts[:, 0] == tree) for tree in np.unique(contexts[:, 0])]
    while len(sets) < leaves:
        best = (1e-9, None, None, None)
        for number, side, members in itertools.product(range(len(sets)), (1, 2), CLASSES):
            rows = sets[number]
            yes = members[contexts[rows, side]]
            if min(yes.sum(), (~yes).sum()) < occupancy:
                continue
            gain = sum(likelihood(features[part], floor) for part in (rows[yes], rows[~yes]))
            gain -= likelihood(features[rows], floor)
            if gain > best[0] + 1e-9:
                best = (gain, number, rows[yes], rows[~yes])
        if best[1] is None:
            break
        sets[best[1] : best[1] + 1] = best[2:]
    return {frozenset(rows.tolist()) for rows in sets}


def partition(leaf):
    return {frozenset(np.flatnonzero(leaf == number).tolist()) for number in np.unique(leaf)}


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("leaves", "occupancy"), [(3, 1), (8, 1), (8, 15), (100, 12)])
def test_trees_are_those_of_brute_force(seed, leaves, occupancy):
    contexts, features = data(seed)
    tying = grown(contexts, features, leaves, occupancy)
    assert partition(tying.leaf(contexts)) == by_brute_force(contexts, features, leaves, occupancy)


def test_statistics_are_sums_over_frames():
    contexts, features = data(0)
    found = StateStatistics.of(contexts, features)
    assert found.counts.sum() == len(features)
    assert len(np.unique(found.contexts, axis=0)) == len(found.contexts)
    for context, count, total, squares in zip(found.contexts, found.counts, found.sums, found.squares, strict=True):
        own = features[(contexts == context).all(axis=1)]
        assert len(own) == count
        np.testing.assert_allclose(total, own.sum(axis=0))
        np.testing.assert_allclose(squares, (own**2).sum(axis=0))
    np.testing.assert_allclose(found.variance(), features.var(axis=0))


@pytest.mark.parametrize("floor", [0.0, 2.0])
def test_likelihood_is_that_of_every_frame(floor):
    frames = np.random.default_rng(0).normal(1, 1.2, (30, 4))
    found = log_likelihood(
        np.array([30.0, 0.0]),
        np.stack([frames.sum(0), np.zeros(4)]),
        np.stack([(frames**2).sum(0), np.zeros(4)]),
        np.full(4, max(floor, 1e-12)),
    )
    np.testing.assert_allclose(found, [likelihood(frames, floor), 0])


def test_known_clusters_are_recovered():
    """The mean depends on whether the left phone is 0 or 1 and, if so, on whether the right one is 4."""
    rng = np.random.default_rng(0)
    contexts = np.stack([np.zeros(500, int), *rng.integers(0, 5, (2, 500))], axis=1)
    left, right = CLASSES[0][contexts[:, 1]], CLASSES[3][contexts[:, 2]]
    cluster = np.where(left, np.where(right, 2, 1), 0)
    features = rng.normal(np.array([0.0, 10.0, 30.0])[cluster], 1)[:, None]
    assert partition(grown(contexts, features, 3).leaf(contexts)) == partition(cluster)


@pytest.mark.parametrize("leaves", [2, 3, 7, 20])
def test_never_more_leaves_than_asked(leaves):
    contexts, features = data(1)
    tying = grown(contexts, features, leaves)
    assert tying.num_leaves == leaves
    assert sorted(set(tying.leaf(contexts))) == list(range(leaves))


@pytest.mark.parametrize("occupancy", [5, 20, 60])
def test_no_leaf_has_fewer_frames_than_allowed(occupancy):
    contexts, features = data(2, frames=400)
    tying = grown(contexts, features, 1000, occupancy)
    assert np.bincount(tying.leaf(contexts)).min() >= occupancy
    assert tying.num_leaves < 1000


def test_every_leaf_belongs_to_one_tree_and_every_context_has_a_leaf():
    contexts, features = data(3, frames=60)
    tying = grown(contexts, features, 12, trees=[0, 1, 5])
    everything = np.array(list(itertools.product([0, 1, 5], range(5), range(5))))
    leaf = tying.leaf(everything)
    assert set(leaf) == set(range(12))
    assert all(len(set(everything[leaf == number, 0])) == 1 for number in range(12))
    assert len(set(leaf[everything[:, 0] == 5])) == 1, "a tree without frames is a lone root"


def test_equal_frames_are_not_split():
    contexts, _ = data(0)
    assert grown(contexts, np.ones((200, 3)), 50).num_leaves == 2


def test_fewer_leaves_than_trees():
    contexts, features = data(0)
    with pytest.raises(DataError, match=r"`states` must be at least 2, one for each state of each phone .* got 1"):
        grown(contexts, features, 1)
