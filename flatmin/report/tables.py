"""The paper's tables with our numbers beside its own, and three it has not: readings, distributions of A, remedies."""

from collections.abc import Callable, Mapping
from typing import Any

from flatmin.report.cells import Column, Table, TableRow
from flatmin.report.columns import COLUMN_NAMES, accuracies, distances, printed, sharpness_of_the_pair, sharpnesses
from flatmin.report.published import (
    EPSILONS,
    LARGE,
    SMALL,
    SUBSPACE_DIM,
    TABLE_2,
    TABLE_3,
    TABLE_4,
    TABLE_6,
    TABLE_7,
    TRIALS,
    Spread,
)
from flatmin.report.studies import StudyResults
from flatmin.report.values import HEADLINE, READING_PREFIXES, Reading, distributions_of, readings_of, searches
from flatmin.results.groups import AUGMENTED, CONSERVATIVE, ROBUST
from flatmin.results.words import BATCH_NORM_NAMES

OVER_SEEDS = f"mean ± sample standard deviation over seeds (over {TRIALS} trials in the paper)"
READ = f"The {HEADLINE.label}, unless the row says otherwise."
READ_BOTH = (
    "The strong search, unless the row says otherwise; BatchNorm with the batch's statistics or running averages."
)
LARGE_AND_ROBUST = {LARGE: "large batch"} | {method: method for method in ROBUST}


def plainly(reading: Reading) -> TableRow:
    """A row that names its reading only where it is not the one that speaks first."""
    return TableRow("" if reading == HEADLINE else reading.label, reading)


def by_batch_norm(study: StudyResults, regime: str = "", label: str = "") -> list[TableRow]:
    """A row with batch statistics, which speaks first, and one with running averages."""
    rows = []
    for batch_norm in ("batch", "running"):
        found = [reading for reading in readings_of(study) if reading.batch_norm == batch_norm]
        reading = (found or [Reading(HEADLINE.method, batch_norm)])[0]
        name = BATCH_NORM_NAMES[batch_norm] if reading.method == HEADLINE.method else reading.label
        macro = label.title().replace(" ", "") + "Running" * (batch_norm == "running")
        rows.append(TableRow(", ".join(filter(None, (label, name))), reading, regime=regime, macro=macro))
    return rows


def both_readings(study: StudyResults) -> list[TableRow]:
    """A row for each of BatchNorm's readings, with no word on searches."""
    return [
        TableRow(BATCH_NORM_NAMES[batch_norm], Reading(HEADLINE.method, batch_norm), macro=macro)
        for batch_norm, macro in (("batch", ""), ("running", "Running"))
    ]


def first_reading(space: str) -> Callable[[StudyResults], list[TableRow]]:
    """One row: the first of the four readings that a study has; cells that were not run where it has none."""

    def rows(study: StudyResults) -> list[TableRow]:
        found = [reading for epsilon in EPSILONS for reading in readings_of(study, space=space, epsilon=epsilon)]
        return [plainly((found or [HEADLINE])[0])]

    return rows


def every_reading(study: StudyResults) -> list[TableRow]:
    """A row for each of the four readings that a study has in the full space."""
    found = [reading for epsilon in EPSILONS for reading in readings_of(study, epsilon=epsilon)]
    return [TableRow(reading.label, reading, macro=reading.macro) for reading in READING_PREFIXES if reading in found]


def every_distribution(study: StudyResults) -> list[TableRow]:
    """A row for each distribution of A and reading, where there are several distributions."""
    names = distributions_of(study)
    rows = [
        TableRow(f"{name} A, {reading.label}", reading, name, macro=f"{name.title()}{reading.macro}")
        for name in names
        for reading in READING_PREFIXES
        if len(searches(study, reading, space="random", distribution=name))
    ]
    return rows if len(names) > 1 else []


def trained_by(*regimes: str) -> Callable[[StudyResults], list[TableRow]]:
    """A row for each reading of BatchNorm where a study has one of these regimes."""

    def rows(study: StudyResults) -> list[TableRow]:
        having = study.tables.minima["regime"].isin(regimes).any()
        return by_batch_norm(study) if having else []

    return rows


def each_remedy(study: StudyResults) -> list[TableRow]:
    """Rows for the plain large batch and for each remedy of E.3, where a study has any."""
    regimes = set(study.tables.minima["regime"])
    found = [
        row
        for regime, label in LARGE_AND_ROBUST.items()
        if regime in regimes
        for row in by_batch_norm(study, regime, label)
    ]
    return found if regimes & set(ROBUST) else []


def tested(group: str, name: str, regime: str, table: Mapping[str, Mapping[Any, Spread]], macro: str = "") -> Column:
    """Test accuracy of a regime."""
    return accuracies(group, name, regime, "test", printed(table, ("test", regime)), f"{macro}Test{name.title()}")


def measured(
    name: str, regime: str, table: Mapping[str, Mapping[Any, Spread]], printed_as: str, macro: str
) -> list[Column]:
    """Sharpness of a regime at both epsilons."""
    return [
        sharpnesses(name, regime, epsilon, printed(table, (printed_as, epsilon)), macro=macro) for epsilon in EPSILONS
    ]


MAIN_TABLES = (
    Table(
        "accuracy",
        f"Table 2 of the paper beside ours: accuracy, {OVER_SEEDS}. With the batch's BatchNorm statistics, as in the "
        "authors' code, and with running averages.",
        [
            accuracies(f"{split} accuracy (%)", name, regime, split, printed(TABLE_2, (split, regime)))
            for split in ("train", "test")
            for regime, name in COLUMN_NAMES.items()
        ],
        both_readings,
        title="accuracy (Table 2)",
    ),
    Table(
        "sharpness",
        f"Table 3 of the paper beside ours: sharpness in the full space (%), {OVER_SEEDS}; ratio of the means. {READ}",
        sharpness_of_the_pair(TABLE_3, "full"),
        first_reading("full"),
        measured="sharpness",
        title="sharpness in the full space (Table 3)",
    ),
    Table(
        "readings",
        "Table 3 of the paper beside our four readings of it: the published search or the strong one, BatchNorm "
        f"with the statistics of the batch or the running ones. Sharpness (%), {OVER_SEEDS}; ratio of the means.",
        sharpness_of_the_pair(TABLE_3, "full"),
        every_reading,
        measured="sharpness",
        title="the readings of Table 3",
    ),
    Table(
        "subspace",
        f"Table 4 of the paper beside ours: sharpness in random subspaces of {SUBSPACE_DIM} dimensions (%), "
        f"{OVER_SEEDS}, draws averaged within a seed; ratio of the means. {READ}",
        sharpness_of_the_pair(TABLE_4, "random"),
        first_reading("random"),
        measured="sharpness",
        title="sharpness in random subspaces (Table 4)",
    ),
    Table(
        "distributions",
        "Table 4 of the paper beside ours by the distribution of the entries of A, which it does not state. Sharpness "
        f"(%), {OVER_SEEDS}, draws averaged within a seed; ratio of the means.",
        sharpness_of_the_pair(TABLE_4, "random"),
        every_distribution,
        measured="sharpness",
        title="several distributions of A",
    ),
    Table(
        "distance",
        f"How far the minima lie from the start, {OVER_SEEDS}; ratio of the means.",
        distances(),
        title="distance from the start",
    ),
)
"""Made of the studies that were made for Tables 2 to 4."""

REMEDY_TABLES = (
    Table(
        "augmentation",
        f"Table 6 of the paper beside ours, augmented data: test accuracy (%) and sharpness of the large-batch minimum "
        f"(%), {OVER_SEEDS}. {READ_BOTH}",
        [
            *(tested("test, plain", name, regime, TABLE_2, "Plain") for regime, name in COLUMN_NAMES.items()),
            *(
                tested("test, augmented", name, AUGMENTED[regime], TABLE_6, "Augmented")
                for regime, name in COLUMN_NAMES.items()
            ),
            *measured("large", AUGMENTED[LARGE], TABLE_6, LARGE, "AugmentedSharpness"),
        ],
        trained_by(*AUGMENTED.values()),
        networks=tuple(TABLE_6),
        measured="sharpness",
        title="augmented data (Table 6)",
    ),
    Table(
        "conservative",
        "Table 7 of the paper beside ours, conservative training: test accuracy (%) and sharpness of its large-batch "
        f"minimum (%), {OVER_SEEDS}. {READ_BOTH}",
        [
            tested("test accuracy", "small", SMALL, TABLE_7, "Beside"),
            tested("test accuracy", "large", LARGE, TABLE_2, "Beside"),
            tested("test accuracy", "conservative", CONSERVATIVE, TABLE_7),
            *measured("conservative", CONSERVATIVE, TABLE_7, CONSERVATIVE, "Sharpness"),
        ],
        trained_by(CONSERVATIVE),
        measured="sharpness",
        title="conservative training (Table 7)",
    ),
    Table(
        "robust",
        "Robust, adversarial and stability training with large batches (appendix E.3 of the paper, which has no "
        f"numbers): accuracy (%) and sharpness (%), {OVER_SEEDS}. {READ_BOTH}",
        [
            accuracies("accuracy", "train", "", "train", macro="Train"),
            accuracies("accuracy", "test", "", "test", macro="Test"),
            *measured("sharpness", "", {}, "", ""),
        ],
        each_remedy,
        measured="sharpness",
        title="robust, adversarial and stability training (E.3)",
    ),
)
"""Made of every study that has the training in question."""
