"""Claims on sharpness: of both minima, against batch size, from warm starts, along training."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import pandas as pd

from flatmin.core.cuts import small_tail
from flatmin.report.claim import FAILS, HOLDS, UNRECORDED, Claim, Finding, Side
from flatmin.report.eligible import disorder, eligible
from flatmin.report.published import (
    EPOCHS,
    EPSILONS,
    FIGURE_4,
    FIGURE_5,
    FIGURE_6,
    LARGE,
    SMALL,
    TABLE_3,
    TABLE_4,
    THRESHOLDS,
    Spread,
)
from flatmin.report.studies import StudyResults
from flatmin.report.values import READING_PREFIXES, Reading, distributions_of, minima_of, searches, sharpness
from flatmin.results.intervals import CORRELATION, POINTS, of_difference, of_mean, of_ratio
from flatmin.results.statistics import proper
from flatmin.results.words import counted, signed, significant

MANY = 4
LATE = 0.2
TENFOLD = 10.0
SHOWN = ("F2", "C1")


def large_is_sharper(space: str, *epsilons: float) -> Callable[[StudyResults, Reading], list[Finding]]:
    """K3, K4 and K5: sharpness of the large-batch minimum over that of the small-batch one, seed by seed."""

    def test(study: StudyResults, reading: Reading) -> list[Finding]:
        found = [times_sharper(study, reading, space=space, epsilon=epsilon) for epsilon in epsilons]
        return [finding for finding in found if finding.interval.values]

    return test


def times_sharper(
    study: StudyResults, reading: Reading, *, space: str, epsilon: float, distribution: str = "normal"
) -> Finding:
    """Sharpness of the large-batch minimum over that of the small-batch one."""
    large, small = (
        sharpness(study, regime, reading, space=space, epsilon=epsilon, distribution=distribution)
        for regime in (LARGE, SMALL)
    )
    rows = searches(study, reading, space=space, epsilon=epsilon, distribution=distribution)
    note = draws_note(rows) if space == "random" else ""
    return Finding(f"large / small, ε {epsilon:g}", of_ratio(large, small), 1.0, unit="×", note=note)


def orders_by_distribution(
    studies: Iterable[StudyResults], reading: Reading, epsilon: float = EPSILONS[0]
) -> pd.DataFrame:
    """In how many studies the large-batch minimum is the sharper one, by the distribution of the entries of A.

    Args:
        studies: The studies; those without random subspaces, or whose large batch is not larger, are left out.
        reading: How sharpness is read.
        epsilon: Of the box.

    Returns:
        One row for each distribution: `distribution`, the number of `studies`, and of these how many have an interval
        above 1 (`holds`) or below it (`fails`); of the others, how many lean to either side (`leans_for`,
        `leans_against`), and how many of these have one seed, which decides nothing (`one_seed`).
    """
    rows = []
    for study in (eligible(study) for study in studies if not disorder(study)):
        for name in distributions_of(study):
            found = times_sharper(study, reading, space="random", epsilon=epsilon, distribution=name)
            if found.interval.values:
                rows.append({"distribution": name, **outcome(found)})
    frame = pd.DataFrame(rows, columns=["distribution", *ORDERS])
    return frame.groupby("distribution", sort=False)[list(ORDERS)].sum().reset_index()


ORDERS = ("studies", "holds", "leans_for", "leans_against", "fails", "one_seed")


def outcome(finding: Finding) -> dict[str, int]:
    """One where it is so, by the names in `ORDERS`."""
    open_for = "" if finding.verdict in (HOLDS, FAILS) else finding.leaning
    return {
        "studies": 1,
        "holds": int(finding.verdict == HOLDS),
        "leans_for": int(open_for == "for"),
        "leans_against": int(open_for == "against"),
        "fails": int(finding.verdict == FAILS),
        "one_seed": int(len(finding.interval.values) == 1),
    }


def draws_note(rows: pd.DataFrame) -> str:
    """In how many single draws of a random subspace the large-batch minimum is the sharper one."""
    pairs = rows.pivot(index=["seed", "draw"], columns="regime", values="sharpness").reindex(columns=[SMALL, LARGE])
    pairs = pairs.dropna()
    return f"in {int((pairs[LARGE] > pairs[SMALL]).sum())} of {counted(len(pairs), 'draw')}"


def falls_with_epsilon(study: StudyResults, reading: Reading) -> list[Finding]:
    """K6: sharpness in the larger box over that in the smaller, for either regime."""
    found = []
    for regime, name in ((SMALL, "small batch"), (LARGE, "large batch")):
        wide, narrow = (sharpness(study, regime, reading, epsilon=epsilon) for epsilon in EPSILONS)
        found.append(Finding(f"{name}: ε 0.001 / ε 0.0005", of_ratio(wide, narrow), 1.0, unit="×"))
    return found


def grows_with_batch_size(study: StudyResults, reading: Reading) -> list[Finding]:
    """K13: rank correlation of batch size with test accuracy (below 0) and with sharpness (above 0).

    Networks whose batches leave a small last one in each epoch are left out: it would decide, not the size.
    """
    minima = study.tables.minima
    minima = proper(minima[minima["regime"].isin(batch_sizes(study))])
    cut_off = sorted({int(size) for size in minima["batch_size"] if small_tail(study.training_examples, int(size))})
    minima = minima[~minima["batch_size"].isin(cut_off)]
    minima, lacking = with_accuracies(minima)
    note = f"without batches of {', '.join(f'{size:,}' for size in cut_off)}: a small last one" if cut_off else ""
    found = []
    sides: tuple[tuple[str, pd.DataFrame, Side], ...] = (
        ("test_accuracy", minima, "below"),
        ("sharpness", with_sharpness(study, minima, reading), "above"),
    )
    for column, frame, wanted in sides:
        known = frame.dropna(subset=[column])
        by_seed = {
            seed: rank_correlation(rows["batch_size"], rows[column])
            for seed, rows in known.groupby("seed")
            if rows["batch_size"].nunique() >= MANY
        }
        name = f"rank correlation of batch size and {column.replace('_', ' ')}"
        correlations = of_mean(pd.Series(by_seed, dtype=float), bounds=CORRELATION)
        found.append(Finding(name, correlations, 0.0, wanted, note=note, hindrance=lacking))
    return found


def with_accuracies(minima: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """Minima with running averages where no test accuracy was recorded with batch statistics, and that it is so."""
    lacking = minima["test_accuracy"].isna()
    filled = minima["test_accuracy"].where(~lacking, minima["running_test_accuracy"])
    return minima.assign(test_accuracy=filled), UNRECORDED if lacking.any() else ""


def batch_sizes(study: StudyResults) -> Sequence[str]:
    """The regimes of a study that differ in nothing but the size of the batch.

    They are the pair and every variation that neither augments nor has a method or a start of its own; one with a list
    of sizes stands for several networks, whose names end with theirs.
    """
    plain = [
        key
        for key, variation in (study.experiment.get("variations") or {}).items()
        if not any(variation.get(change) for change in ("augmentation", "method", "start"))
    ]
    sizes = study.tables.minima[["regime", "batch_size"]].drop_duplicates().itertuples(index=False)
    return [
        regime
        for regime, size in sizes
        if regime in (SMALL, LARGE, *plain) or any(regime == f"{key}_{size:.0f}" for key in plain)
    ]


def with_sharpness(study: StudyResults, minima: pd.DataFrame, reading: Reading) -> pd.DataFrame:
    """Minima with their sharpness in the full space at the paper's larger epsilon."""
    parts = []
    for regime, rows in minima.groupby("regime"):
        values = sharpness(study, str(regime), reading)
        parts.append(rows.assign(sharpness=rows["seed"].map(values)))
    return pd.concat(parts).dropna(subset=["sharpness"]) if parts else minima.assign(sharpness=[])


def rank_correlation(first: "pd.Series[float]", second: "pd.Series[float]") -> float:
    """Spearman's rank correlation; NaN where one of both is constant.

    Example:
        >>> rank_correlation(pd.Series([1.0, 2.0, 3.0]), pd.Series([10.0, 1000.0, 20.0]))
        0.5
    """
    ranks = first.rank(), second.rank()
    if min(rank.nunique() for rank in ranks) < 2:
        return float("nan")
    return round(float(ranks[0].corr(ranks[1])), 12)


def warm_starts(study: StudyResults) -> Sequence[str]:
    """The regimes of a study that go out from iterates of another training."""
    minima = study.tables.minima
    return [*minima.loc[minima["start_epoch"].notna(), "regime"].unique()]


def late_starts_help(study: StudyResults, reading: Reading) -> list[Finding]:
    """K14: large batches from late small-batch iterates against those from the earliest.

    Late is from a fifth of the small-batch training on, the paper's epoch 20 of 100. The sharpness compares the
    earliest start with the latest.
    """
    minima = study.tables.minima
    warm, lacking = with_accuracies(proper(minima[minima["start_epoch"].notna()]))
    warm = with_sharpness(study, warm, reading)
    if warm["start_epoch"].nunique() < 2:
        return []
    trained = minima_of(study, SMALL)["epochs"].max()
    test = 100 * warm.pivot_table(index="start_epoch", columns="seed", values="test_accuracy")
    phi = warm.pivot_table(index="start_epoch", columns="seed", values="sharpness")
    late = test[(test.index >= LATE * trained) & (test.index > test.index[0])]
    gain = of_difference(late.mean(), test.iloc[0], bounds=POINTS)
    fall = of_ratio(phi.iloc[0], phi.iloc[-1])
    starts = f"epoch {phi.index[0]:g} / epoch {phi.index[-1]:g}"
    return [
        Finding("test accuracy, late − earliest", gain, unit=" points", hindrance=lacking),
        Finding(f"sharpness, {starts}", fall, TENFOLD, unit="×"),
    ]


def sharpness_follows_loss(study: StudyResults, reading: Reading) -> list[Finding]:
    """K15: rank correlation of sharpness with training loss along training: large batch below 0, small batch above."""
    rows = study.tables.sharpness
    on_the_way = rows[rows["epoch"].notna()]
    rows = rows[rows["regime"].isin(on_the_way["regime"]) & (rows["space"] == "full")]
    rows = rows[(rows["method"] == reading.method) & (rows["batch_norm"] == reading.batch_norm)]
    rows = rows[(rows["epsilon"] - EPSILONS[0]).abs() < 1e-9]
    found = []
    sides: tuple[tuple[str, str, Side], ...] = ((LARGE, "large batch", "below"), (SMALL, "small batch", "above"))
    for regime, name, wanted in sides:
        by_seed = {
            seed: rank_correlation(along["base_loss"], along["sharpness"])
            for seed, along in rows[rows["regime"] == regime].groupby("seed")
            if len(along) >= MANY
        }
        correlations = of_mean(pd.Series(by_seed, dtype=float), bounds=CORRELATION)
        found.append(Finding(f"{name}: rank correlation", correlations, 0.0, wanted))
    return found


def published_ratios(table: Mapping[str, Mapping[tuple[str, float], Spread]], *epsilons: float) -> Callable[[str], str]:
    """K3, K4 and K5 in Tables 3 and 4."""

    def paper(network: str) -> str:
        cells = table[network]
        ratios = [cells[LARGE, epsilon].mean / cells[SMALL, epsilon].mean for epsilon in epsilons]
        return "; ".join(f"×{significant(ratio)}" for ratio in ratios)

    return paper


def published_fall(network: str) -> str:
    """K6 in Table 3."""
    cells = TABLE_3[network]
    small, large = (cells[regime, EPSILONS[0]].mean / cells[regime, EPSILONS[1]].mean for regime in (SMALL, LARGE))
    return f"small batch ×{small:.1f}; large batch ×{large:.1f}"


def published_threshold(network: str) -> str:
    """K13 in Fig. 4."""
    if network not in FIGURE_4:
        return "similar, no number"
    rows = FIGURE_4[network]
    columns = [pd.Series({size: row[place] for size, row in rows.items()}, dtype=float) for place in (0, 1)]
    sizes = pd.Series(list(rows), index=list(rows), dtype=float)
    accuracy, phi = (signed(f"{rank_correlation(sizes, column):.2f}") for column in columns)
    return f"rank correlations {accuracy} and {phi} (read-off); threshold about {THRESHOLDS[network]:,}"


def published_start(network: str) -> str:
    """K14 in Fig. 5."""
    if network not in FIGURE_5:
        return "no number"
    rows = FIGURE_5[network]
    late = [accuracy for epoch, (_, accuracy, _) in rows.items() if epoch >= LATE * EPOCHS]
    gain = sum(late) / len(late) - rows[0][1]
    return f"{gain:.1f} points; ×{significant(rows[0][2] / rows[max(rows)][2])} (read-off)"


def published_course(network: str) -> str:
    """K15 in Fig. 6."""
    if (network, LARGE) not in FIGURE_6:
        return "no number"
    found = []
    for regime, name in ((LARGE, "large batch"), (SMALL, "small batch")):
        losses, values = (pd.Series(column, dtype=float) for column in zip(*FIGURE_6[network, regime], strict=True))
        found.append(f"{name} {signed(f'{rank_correlation(losses, values):.2f}')}")
    return f"{'; '.join(found)} (read-off)"


SHARPNESS_CLAIMS = (
    Claim(
        "K3",
        "Large-batch minima are sharper: full space, ε = 0.001",
        large_is_sharper("full", EPSILONS[0]),
        published_ratios(TABLE_3, EPSILONS[0]),
        readings=READING_PREFIXES,
        of_the_pair=True,
        tells_fit=True,
    ),
    Claim(
        "K4",
        "Large-batch minima are sharper: full space, ε = 0.0005",
        large_is_sharper("full", EPSILONS[1]),
        published_ratios(TABLE_3, EPSILONS[1]),
        readings=READING_PREFIXES,
        of_the_pair=True,
        tells_fit=True,
    ),
    Claim(
        "K5",
        "Large-batch minima are sharper: random subspaces, both ε",
        large_is_sharper("random", *EPSILONS),
        published_ratios(TABLE_4, *EPSILONS),
        readings=READING_PREFIXES,
        of_the_pair=True,
        tells_fit=True,
    ),
    Claim(
        "K6",
        "Sharpness falls with ε",
        falls_with_epsilon,
        published_fall,
        readings=READING_PREFIXES,
        of_the_pair=True,
    ),
    Claim(
        "K13",
        "Larger batches: test accuracy falls and sharpness rises (rank correlations < 0 and > 0)",
        grows_with_batch_size,
        published_threshold,
        SHOWN,
        READING_PREFIXES,
        compares=batch_sizes,
        tells_fit=True,
    ),
    Claim(
        "K14",
        "Large batches from late small-batch iterates: higher test accuracy, sharpness lower by ≥ 10 times",
        late_starts_help,
        published_start,
        SHOWN,
        READING_PREFIXES,
        compares=warm_starts,
        tells_fit=True,
    ),
    Claim(
        "K15",
        "As the loss falls, sharpness rises with large batches and falls with small ones",
        sharpness_follows_loss,
        published_course,
        SHOWN,
        READING_PREFIXES,
    ),
)
