"""The remedies as tables: what each does, what it takes, and which learning rates were tried."""

from collections.abc import Iterator

import pandas as pd

from flatmin.results import Tables
from flatmin.results.intervals import Interval
from flatmin.results.words import label_of, significant
from flatmin.studies.remedies.equal_loss import at_equal_loss
from flatmin.studies.remedies.found import FADES, FLATTENS, ratio
from flatmin.studies.remedies.judged import LARGE, between, share, ways
from flatmin.studies.remedies.trainings import TUNING


def tabled(tables: Tables) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield each table with its caption."""
    found = ways(tables)
    if found:
        effects = []
        for way in found:
            row = {"way of training": way.label, "batch": f"{way.batch_size:,}"}
            row |= {"test accuracy (%)": f"{way.accuracy:.2f}"}
            row |= {"running averages (%)": f"{way.running.center:.2f}"}
            row |= {"gain (points)": "" if way.name == LARGE else f"{way.gain:+.2f}"}
            row |= {"of the gap": "" if way.name == LARGE else between(way.closed, share) if way.closed.exists else "–"}
            row |= {
                f"{what} ×": "" if way.name == LARGE else between(each, ratio) for what, each in way.compared.items()
            }
            effects.append(row | {"effect": " and ".join(filter(None, (way.closes, way.flattens)))})
        yield (
            "Remedies for large batches: test accuracy (batch statistics), gain over the large batch, share of the gap "
            "closed (Fieller), training loss and sharpness over the large batch's; mean over seeds [95 % interval]. "
            f"{FLATTENS} {FADES}",
            pd.DataFrame(effects).fillna(""),
        )
        yield from equal_loss(tables)
        large = next(way for way in found if way.name == LARGE)
        yield (
            "What each takes; seconds are wall time on the machine of the run, whatever else it did, the median over "
            "seeds; * its learning rate is at the edge of those tried.",
            pd.DataFrame(
                {
                    "way of training": [way.label for way in found],
                    "learning rate": [f"{way.rate.center:g}{'*' * way.at_edge}" for way in found],
                    "updates": [f"{way.updates:,.0f}" for way in found],
                    "gradients over large batch's": [ratio(way.gradients / large.gradients) for way in found],
                    "seconds": [significant(way.seconds) for way in found],
                }
            ),
        )
    tried = tables.frames[TUNING]
    if len(tried):
        wide = tried.assign(
            said=[
                "diverged" if pd.isna(loss) else f"{100 * accuracy:.2f}"
                for loss, accuracy in zip(tried["train_loss"], tried["validation_accuracy"], strict=True)
            ]
        ).pivot(index="regime", columns="factor", values="said")
        wide = wide.reindex(tried["regime"].unique()).reset_index()
        wide["regime"] = [label_of(regime) for regime in wide["regime"]]
        wide.columns = ["way of training", *(f"× {factor:g}" for factor in wide.columns[1:])]
        yield (
            "Learning rates tried, times each way's own: accuracy (%) on the last "
            f"{tables.experiment['tuning']['validation']} of the training examples, which these trainings leave out; "
            "one seed.",
            wide,
        )


def equal_loss(tables: Tables) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield what is left of each sharpness at equal training loss, if any was measured along training."""
    rows = []
    for one in at_equal_loss(tables):
        row = {"way of training": label_of(one.name), "compared at": told(one.loss)}
        row |= {f"{what} ×": told(each) for what, each in one.flatness.items()}
        rows.append(row | {"effect": one.flattens})
    if rows:
        yield (
            "Sharpness over the large batch's at equal training loss: where both had come to the lowest that both "
            "reached (compared at: that loss over the large batch's last one). Geometric mean over seeds [95 % "
            "interval]; between the networks kept, by straight lines of logarithms.",
            pd.DataFrame(rows),
        )


def told(interval: Interval) -> str:
    """A ratio with its interval; a dash where there is none to tell."""
    return between(interval, ratio) if interval.values else "–"
