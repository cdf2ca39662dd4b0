"""Claims on sharpness: of both minima, against batch size, from warm starts, along training."""

from collections.abc import Callable, Mapping

import pandas as pd

from flatmin.figures.captions import counted, significant
from flatmin.report.claim import Claim, Finding, Side
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
from flatmin.report.studies import Study
from flatmin.report.values import READINGS, Reading, minima_of, searches, sharpness
from flatmin.results.intervals import of_difference, of_mean, of_ratio
from flatmin.results.statistics import proper

MANY = 4
CORRELATED = 0.8
LATE = 0.2
TENFOLD = 10.0
SHOWN = ("F2", "C1")


def large_is_sharper(space: str, *epsilons: float) -> Callable[[Study, Reading], list[Finding]]:
    """K3, K4 and K5: sharpness of the large-batch minimum over that of the small-batch one, seed by seed."""

    def test(study: Study, reading: Reading) -> list[Finding]:
        found = []
        for epsilon in epsilons:
            large, small = (
                sharpness(study, regime, reading, space=space, epsilon=epsilon) for regime in (LARGE, SMALL)
            )
            note = draws_note(searches(study, reading, space=space, epsilon=epsilon)) if space == "random" else ""
            found.append(Finding(f"large / small, ε {epsilon:g}", of_ratio(large, small), 1.0, unit="×", note=note))
        return [finding for finding in found if finding.interval.values]

    return test


def draws_note(rows: pd.DataFrame) -> str:
    """In how many single draws of a random subspace the large-batch minimum is the sharper one."""
    pairs = rows.pivot(index=["seed", "draw"], columns="regime", values="sharpness").reindex(columns=[SMALL, LARGE])
    pairs = pairs.dropna()
    return f"in {int((pairs[LARGE] > pairs[SMALL]).sum())} of {counted(len(pairs), 'draw')}"


def falls_with_epsilon(study: Study, reading: Reading) -> list[Finding]:
    """K6: sharpness in the larger box over that in the smaller, for either regime."""
    found = []
    for regime, name in ((SMALL, "small batch"), (LARGE, "large batch")):
        wide, narrow = (sharpness(study, regime, reading, epsilon=epsilon) for epsilon in EPSILONS)
        found.append(Finding(f"{name}: ε 0.001 / ε 0.0005", of_ratio(wide, narrow), 1.0, unit="×"))
    return found


def grows_with_batch_size(study: Study, reading: Reading) -> list[Finding]:
    """K13: rank correlation of batch size with test accuracy (below 0) and with sharpness (above 0.8)."""
    minima = study.tables.minima
    plain = minima["regime"].isin([SMALL, LARGE]) | minima["regime"].str.startswith("sweep")
    frame = with_sharpness(study, proper(minima[plain]), reading)
    found = []
    sides: tuple[tuple[str, float, Side], ...] = (("test_accuracy", 0.0, "below"), ("sharpness", CORRELATED, "above"))
    for column, boundary, wanted in sides:
        by_seed = {
            seed: rank_correlation(rows["batch_size"], rows[column])
            for seed, rows in frame.groupby("seed")
            if rows["batch_size"].nunique() >= MANY
        }
        name = f"rank correlation of batch size and {column.replace('_', ' ')}"
        found.append(Finding(name, of_mean(pd.Series(by_seed, dtype=float)), boundary, wanted))
    return found


def with_sharpness(study: Study, minima: pd.DataFrame, reading: Reading) -> pd.DataFrame:
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


def late_starts_help(study: Study, reading: Reading) -> list[Finding]:
    """K14: large batches from late small-batch iterates against those from the earliest.

    Late is from a fifth of the small-batch training on, the paper's epoch 20 of 100. The sharpness compares the
    earliest start with the latest.
    """
    minima = study.tables.minima
    warm = with_sharpness(study, proper(minima[minima["start_epoch"].notna()]), reading)
    if warm["start_epoch"].nunique() < 2:
        return []
    trained = minima_of(study, SMALL)["epochs"].max()
    test = 100 * warm.pivot_table(index="start_epoch", columns="seed", values="test_accuracy")
    phi = warm.pivot_table(index="start_epoch", columns="seed", values="sharpness")
    late = test[(test.index >= LATE * trained) & (test.index > test.index[0])]
    gain = of_difference(late.mean(), test.iloc[0])
    fall = of_ratio(phi.iloc[0], phi.iloc[-1])
    starts = f"epoch {phi.index[0]:g} / epoch {phi.index[-1]:g}"
    return [
        Finding("test accuracy, late − earliest", gain, unit=" points"),
        Finding(f"sharpness, {starts}", fall, TENFOLD, unit="×"),
    ]


def sharpness_follows_loss(study: Study, reading: Reading) -> list[Finding]:
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
        found.append(Finding(f"{name}: rank correlation", of_mean(pd.Series(by_seed, dtype=float)), 0.0, wanted))
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
    accuracy, phi = (rank_correlation(sizes, column) for column in columns)
    return f"rank correlations {accuracy:.2f} and {phi:.2f} (read-off); threshold about {THRESHOLDS[network]:,}"


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
        found.append(f"{name} {rank_correlation(losses, values):.2f}")
    return f"{'; '.join(found)} (read-off)"


CLAIMS = (
    Claim(
        "K3",
        "Large-batch minima are sharper: full space, ε = 0.001",
        large_is_sharper("full", EPSILONS[0]),
        published_ratios(TABLE_3, EPSILONS[0]),
        readings=READINGS,
        of_the_pair=True,
    ),
    Claim(
        "K4",
        "Large-batch minima are sharper: full space, ε = 0.0005",
        large_is_sharper("full", EPSILONS[1]),
        published_ratios(TABLE_3, EPSILONS[1]),
        readings=READINGS,
        of_the_pair=True,
    ),
    Claim(
        "K5",
        "Large-batch minima are sharper: random subspaces, both ε",
        large_is_sharper("random", *EPSILONS),
        published_ratios(TABLE_4, *EPSILONS),
        readings=READINGS,
        of_the_pair=True,
    ),
    Claim(
        "K6",
        "Sharpness falls with ε",
        falls_with_epsilon,
        published_fall,
        readings=READINGS,
        of_the_pair=True,
    ),
    Claim(
        "K13",
        "Larger batches: test accuracy falls and sharpness rises (rank correlation > 0.8)",
        grows_with_batch_size,
        published_threshold,
        SHOWN,
        READINGS,
    ),
    Claim(
        "K14",
        "Large batches from late small-batch iterates: higher test accuracy, sharpness lower by ≥ 10 times",
        late_starts_help,
        published_start,
        SHOWN,
        READINGS,
    ),
    Claim(
        "K15",
        "As the loss falls, sharpness rises with large batches and falls with small ones",
        sharpness_follows_loss,
        published_course,
        SHOWN,
        READINGS,
    ),
)
