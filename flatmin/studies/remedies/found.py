"""What the remedies do, a sentence each; claims R3, R5 and R9, judged by what the file says of each way of training."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_args

from flatmin.optimizers.named import OptimizerName
from flatmin.results import Tables
from flatmin.results.groups import variation_named
from flatmin.results.intervals import POINTS, Interval, of_difference, of_mean
from flatmin.results.statistics import CHANCE, DIVERGED, lost, with_minima
from flatmin.results.words import counted, label_of, significant
from flatmin.studies.remedies.equal_loss import AtEqualLoss, at_equal_loss
from flatmin.studies.remedies.judged import (
    LARGE,
    SMALL,
    Way,
    between,
    by_seed,
    effect,
    rank_correlations,
    share,
    ways,
    with_depth,
)

MARGIN = 0.5
"""Points below the small batch that still count as its accuracy (R3)."""
FLATTENS = (
    "A way flattens (sharpens) if the interval of one measure or more leaves out 1, and all that do lie below (above)."
)
FADES = "Sharpness fades with the training loss, so that a way can be flatter because it ended lower."
OVER_SEEDS = "intervals over seeds, not over ways"
ENDS = {DIVERGED: "diverged", CHANCE: "no better than a guess"}
Features = frozenset[str]


def sentences(tables: Tables) -> Iterator[str]:
    """Yield the gap, what each remedy does, and the claims."""
    yield from without_minimum(tables)
    found = {way.name: way for way in ways(tables)}
    if LARGE not in found:
        yield "No large batch left a minimum, so there is nothing to compare remedies with."
        return
    if not found[LARGE].accuracy.values:
        yield "The targets are real numbers: there is no test accuracy, and nothing is said of a gap in it."
    elif SMALL in found:
        gap = found[SMALL].gain
        sure = "" if gap.exists and gap.low > 0 else " It cannot be told from none, and neither can shares of it"
        edge = " The small batch's learning rate, which the large batch has too, is at the edge of those tried."
        yield (
            f"The gap: small batches have {gap:+.2f} points of test accuracy more than large ones, mean of "
            f"{counted(len(gap.values), 'seed')}, batch statistics.{sure}{'.' * bool(sure)}"
            f"{edge if found[SMALL].at_edge else ''}"
        )
    yield (
        "Each way below is set against the large batch, seed by seed: points of test accuracy, and × how much of the "
        f"training loss and of each sharpness is left. {FLATTENS} Intervals are 95 % t intervals, of a ratio on its "
        "logarithm."
    )
    for name, way in found.items():
        if name not in (SMALL, LARGE):
            yield told(way)
    yield from depth([*found.values()])
    compared = {one.name: one for one in at_equal_loss(tables)}
    yield from at_one_loss(compared, found)
    yield from rates(tables, compared, found)
    yield from gains(compared, found)
    if found[LARGE].accuracy.values:
        yield from claims(tables, found)


def without_minimum(tables: Tables) -> Iterator[str]:
    """Name the ways of training that left no minimum for any seed, which have no row to say so."""
    for name, trained in tables.minima.groupby("regime", sort=False):
        if lost(trained).shape == trained.shape:
            ends = trained["status"].value_counts()
            each = ", ".join(
                f"{counted(int(ends[status]), 'training')} {words}" for status, words in ENDS.items() if status in ends
            )
            label = label_of(str(name))
            yield f"{label[:1].upper()}{label[1:]} left no minimum for any seed: {each}."


def told(way: Way) -> str:
    """Say what a remedy does to the gap, if there are accuracies, and to each sharpness."""
    if as_large(way):
        return f"{opening(way.label)}: the large batch's numbers, every one."
    closed = f", {between(way.closed, share)} of the gap" if way.closed.exists else ""
    gain = f"{way.gain:+.2f} points{closed}" if way.gain.values else ""
    flat = "; ".join(f"{what} × {between(each, ratio)}" for what, each in way.compared.items())
    closes = way.closes or "leaves the gap undecided" if gain else ""
    verdict = " and ".join(filter(None, [closes, way.flattens or "leaves the sharpness undecided"]))
    edge = " (its learning rate is at the edge of those tried)" if way.at_edge else ""
    lost = f" {counted(way.lost, 'seed')} left no minimum." if way.lost else ""
    return f"{opening(way.label)}: {'; '.join(filter(None, [gain, flat]))}: {verdict}{edge}.{lost}"


def as_large(way: Way) -> bool:
    """Whether every seed ended with the large batch's accuracy, training loss and sharpness."""
    ratios = [value for each in way.compared.values() for value in each.values]
    return bool(ratios) and {*ratios} == {1.0} and {*way.gain.values} <= {0.0} and not way.lost


def depth(found: Sequence[Way]) -> Iterator[str]:
    """Say which sharpness goes with the training loss where the ways of training ended."""
    if known := with_depth(found):
        said = ", ".join(f"{what} {each:+.2f}" for what, each in known.items())
        yield (
            f"{FADES} Rank correlation with the training loss over the {len(found) - 1} other ways of training, mean "
            f"over {counted(max(len(each.values) for each in known.values()), 'seed')} ({OVER_SEEDS}): {said}."
        )


def at_one_loss(compared: Mapping[str, AtEqualLoss], found: Mapping[str, Way]) -> Iterator[str]:
    """Say of each sharpness how many ways are flatter or sharper where they ended, and how many at equal loss."""
    there = {name: one for name, one in compared.items() if one.exists}
    if not there:
        return
    alone = [label_of(name) for name, one in compared.items() if not one.exists]
    without = f" Nothing to compare for {', '.join(alone)}." if alone else ""
    yield (
        "At equal training loss, where way and large batch had both come to the lowest loss that both reached (between "
        f"the networks kept, by straight lines of logarithms), {counted(len(there), 'way')} of training can be "
        f"compared.{without}"
    )
    for what in dict.fromkeys(what for one in there.values() for what in one.flatness):
        effects = [
            (way_effect(found[name].flatness.get(what)), way_effect(one.flatness[what])) for name, one in there.items()
        ]
        ends = [ended for ended, _ in effects]
        each = [counts(effects, verb) for verb in ("flattens", "sharpens", "") if verb in ends]
        yield f"{opening(what)} of these {len(effects)}, in brackets at equal loss: {'; '.join(each)}."


def counts(effects: Sequence[tuple[str, str]], verb: str) -> str:
    """How many ways flatten, or sharpen, or do neither where training ended, and what these do at equal loss."""
    words = {"flattens": "flatter", "sharpens": "sharper", "": "undecided"}
    there = [at_loss for ended, at_loss in effects if ended == verb]
    inside = ", ".join(f"{there.count(each)} {word}" for each, word in words.items())
    return f"{len(there)} {words[verb]} at the end of training ({inside})"


def rates(tables: Tables, compared: Mapping[str, AtEqualLoss], found: Mapping[str, Way]) -> Iterator[str]:
    """Say which sharpness goes with the learning rate, over the ways that step as the large batch does."""
    other = {"swap", *get_args(OptimizerName)}
    known = features(tables)
    alike = {LARGE, *(name for name in found if (of := variation_named(name, known)) and not known[of] & other)}
    same = {name: way for name, way in found.items() if name in alike and way.batch_size == found[LARGE].batch_size}
    rate = {name: way.rate for name, way in same.items()}
    ended = rank_correlations(rate, {name: way.flatness for name, way in same.items()})
    there = {name: compared[name].flatness for name in same if name in compared and compared[name].exists}
    at_loss = rank_correlations(rate, {LARGE: found[LARGE].flatness, **there} if there else {})
    if sure := {what: each for what, each in ended.items() if each.exists}:
        yield (
            "A larger learning rate can flatten by itself (what is sharper than a multiple of its inverse throws the "
            "steps out; Cohen et al., 2021), and the ways differ in it. Rank correlation with it over the "
            f"{len(same)} ways with the large batch's optimiser and batch size ({OVER_SEEDS}): "
            f"{with_equal_loss(sure, at_loss)}."
        )


def gains(compared: Mapping[str, AtEqualLoss], found: Mapping[str, Way]) -> Iterator[str]:
    """Say whether the ways that gain are the flat ones, where training ended and at equal loss."""
    others = {name: way for name, way in found.items() if name != LARGE}
    gained = {name: way.gain for name, way in others.items()}
    ended = rank_correlations(gained, {name: way.flatness for name, way in others.items()})
    there = rank_correlations(gained, {name: one.flatness for name, one in compared.items() if one.exists})
    if ended:
        yield (
            "Rank correlation of the gain in test accuracy with each sharpness over the ways of training, below 0 if "
            f"the flat ones gain ({OVER_SEEDS}): {with_equal_loss(ended, there)}."
        )


def with_equal_loss(ended: Mapping[str, Interval], there: Mapping[str, Interval]) -> str:
    """Rank correlations where training ended, in brackets those at equal loss."""
    return ", ".join(
        f"{what} {known:+.2f}{f' ({there[what]:+.2f} at equal loss)' if what in there and there[what].values else ''}"
        for what, known in ended.items()
    )


def way_effect(interval: Interval | None) -> str:
    """What a way does to a sharpness, in a word; empty where it is undecided or unknown."""
    return "" if interval is None else effect(interval, 1.0, ("flattens", "sharpens"))


def opening(label: str) -> str:
    """A name at the head of a sentence; a letter by itself, as in m-SAM, stays small.

    Example:
        >>> opening("growing batch"), opening("m-SAM")
        ('Growing batch', 'm-SAM')
    """
    return f"{label[:1].upper()}{label[1:]}" if label[1:2].isalpha() else label


def ratio(value: float) -> str:
    """A ratio to two digits, to three where two would make it 1.

    Example:
        >>> ratio(1.52), ratio(1.03), ratio(1.0)
        ('1.5', '1.03', '1.0')
    """
    said = significant(value, 2)
    return significant(value, 3) if said == "1.0" and abs(value - 1) > 5e-4 else said


def features(tables: Tables) -> dict[str, Features]:
    """What each variation has, by the names of the settings that differ from the usual."""
    found: dict[str, Features] = {}
    variations: Mapping[str, Any] = tables.experiment.get("variations") or {}
    for name, variation in variations.items():
        changes = {key: value for key, value in (variation.get("training") or {}).items() if value}
        own = {key: value for key, value in variation.items() if value and key not in ("training", "batch_size")}
        has = set(own) | (set(changes) & {"warm_up", "ghost_batch_norm", "averaging", "growing_batch", "decay"})
        if (scaling := own.get("scaling")) is not None:
            has = has - {"scaling"} | {f"{scaling}_scaling"}
        if (optimizer := changes.get("optimizer")) not in (None, tables.experiment["training"].get("optimizer")):
            has |= {str(optimizer)}
        if method := own.get("method"):
            has = has - {"method"} | {str(method.get("name"))}
        found[name] = frozenset(has)
    return found


def claims(tables: Tables, found: Mapping[str, Way]) -> Iterator[str]:
    """Judge R3, R5 and R9 where the ways that they compare are there."""
    by = {has: found[name] for name, has in features(tables).items() if name in found}
    yield from regime_adaptation(by, found)
    plain, warm = (by.get(frozenset(has)) for has in ({"linear_scaling"}, {"linear_scaling", "warm_up"}))
    if plain and warm:
        gain = difference(warm, plain)
        yield (
            f"R5 {gain.judged_above(0)}: with linearly scaled rates a gradual warm-up changes test accuracy by "
            f"{gain:+.2f} points."
        )
    yield from averages(tables)


def regime_adaptation(by: Mapping[Features, Way], found: Mapping[str, Way]) -> Iterator[str]:
    """Judge R3: the order of Hoffer et al. (2017), and whether the last closes the gap."""
    stages: list[Features] = [frozenset({"sqrt_scaling"})]
    stages += [stages[0] | {"ghost_batch_norm"}]
    stages += [stages[1] | {"regime_adaptation"}]
    present = [by[stage] for stage in stages if stage in by]
    if len(present) < len(stages) or SMALL not in found:
        return
    left = difference(present[-1], found[SMALL])
    steps = [difference(after, before) for before, after in zip([found[LARGE], *present], present, strict=False)]
    names = ("square-root scaling", "ghost batch normalisation", "as many updates as the small batch")
    reached = (
        "holds" if left.exists and left.low >= -MARGIN else "does not hold" if left.high < -MARGIN else "undecided"
    )
    order = ", ".join(f"{name} {step:+.2f}" for name, step in zip(names, steps, strict=True))
    yield (
        f"R3 {reached}: with all three remedies of Hoffer et al. (2017) test accuracy less the small batch's is "
        f"{left:+.2f} points (the gap counts as closed down to -{MARGIN:g}). Each adds to the one before "
        f"it: {order}."
    )


def averages(tables: Tables) -> Iterator[str]:
    """Judge R9: whether an average of weights does better than what it averages."""
    rows = with_minima(tables).frames["members"]
    for (name,), way in rows.groupby(["regime"], sort=False):
        mean, each = way[way["member"] < 0].set_index("seed"), way[way["member"] >= 0]
        members = each.groupby("seed")["test_accuracy"].mean()
        gain = of_difference(100 * mean["test_accuracy"], 100 * members, bounds=POINTS)
        best = of_difference(
            100 * mean["test_accuracy"], 100 * each.groupby("seed")["test_accuracy"].max(), bounds=POINTS
        )
        yield (
            f"R9 for {label_of(str(name))} {gain.judged_above(0)}: the average has {gain:+.2f} points of "
            f"test accuracy more than its members in the mean, and {best:+.2f} more than the best of them."
        )


def difference(first: Way, second: Way) -> Interval:
    """Test accuracy of one way less another's, in points, over the seeds that have both."""
    one, other = (by_seed(way.accuracy) for way in (first, second))
    one, other = one.align(other, join="inner")
    return of_mean(one - other, bounds=POINTS)
