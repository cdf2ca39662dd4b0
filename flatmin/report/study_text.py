"""What a report says of a study in words: Markdown, drawn up from the study's tables alone."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

from flatmin.results import Tables
from flatmin.results.remarks import remarks
from flatmin.results.summary_text import summary_table
from flatmin.results.verdict import verdict
from flatmin.results.words import DATA_NAMES, counted, label_of, span

SUMMARY_NOTE = (
    "Mean and sample standard deviation over seeds; ratio of the means, large over small batch, "
    "with the range over single seeds in brackets."
)


def study_sections(tables: Tables) -> dict[str, str]:
    """The text of a report: what the study is, which minimum is sharper, and the numbers behind it.

    Args:
        tables: The study's tables.

    Returns:
        Markdown by heading.

    Raises:
        ResultsError: If there are neither minima nor sharpness.
    """
    return {
        "The study": "\n\n".join(filter(None, [about(tables), bullets(study_facts(tables))])),
        "Which minimum is sharper": bullets(verdict(tables)),
        "Summary": f"{markdown_table(summary_table(tables))}\n\n{SUMMARY_NOTE}",
    }


def title(tables: Tables, name: str) -> str:
    """The title of the report of the study `name`, such as ``keskar_f1: F1 on MNIST``."""
    frames = (tables.minima, tables.sharpness)
    runs = dict.fromkeys(run for frame in frames for run in zip(frame["network"], frame["data"], strict=True))
    return f"{name}: {', '.join(f'{network} on {DATA_NAMES.get(data, data)}' for network, data in runs)}"


def about(tables: Tables) -> str:
    """The sentence of the experiment on what it is for; empty where it says nothing."""
    return " ".join(str(setting(tables, "about") or "").split())


def study_facts(tables: Tables) -> list[str]:
    """Seeds, batch sizes, training and reduced settings, a sentence each."""
    minima = tables.minima
    diverged = int((minima["status"] == "diverged").sum())
    stated = [
        f"Seeds: {', '.join(f'{seed:g}' for seed in sorted(minima['seed'].unique()))}" if len(minima) else "",
        f"Batch sizes: {batch_sizes_text(minima)}" if len(minima) else "",
        training(tables),
        f"{counted(diverged, 'training')} diverged" if diverged else "",
        *(f"Reduced: {remark.text}" for remark in remarks(tables.provenance, "reduced")),
        origin(tables),
    ]
    return [fact.rstrip(".") + "." for fact in stated if fact]


def batch_sizes_text(minima: pd.DataFrame) -> str:
    """Every way of training with its batch size: ``small batch 256, large batch 6,000``."""
    sizes = minima.drop_duplicates(["regime", "batch_size"])
    pairs = zip(sizes["regime"], sizes["batch_size"], strict=True)
    return ", ".join(f"{label_of(regime)} {size:,.0f}" for regime, size in pairs)


def training(tables: Tables) -> str:
    """Optimiser, learning rate and epochs, as far as they are known."""
    known = [
        str(setting(tables, "training", "optimizer") or ""),
        f"learning rate {rate:g}" if (rate := setting(tables, "training", "learning_rate")) else "",
        span(tables.minima["epochs"].dropna(), "epoch"),
    ]
    return f"Training: {', '.join(filter(None, known))}" if any(known) else ""


def origin(tables: Tables) -> str:
    """Version and commits of the code that made the numbers."""
    made = tables.provenance.get("made_with") or {}
    versions = [f"flatmin {version}" for version in made.get("flatmin") or []]
    commits = [str(state["commit"])[:9] for state in made.get("git") or [] if state and state.get("commit")]
    return f"Made with {', '.join([*versions, *(f'commit {commit}' for commit in commits)])}" if versions else ""


def setting(tables: Tables, *keys: str) -> Any:
    """A setting of the experiment by its keys, or ``None``."""
    value: Any = tables.experiment
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def bullets(sentences: Iterable[str]) -> str:
    """A Markdown list."""
    return "\n".join(f"- {sentence}" for sentence in sentences)


def markdown_table(frame: pd.DataFrame) -> str:
    r"""A frame of text as a Markdown table.

    Example:
        >>> print(markdown_table(pd.DataFrame({"quantity": ["a|b"], "ratio": ["2.5"]})))
        | quantity | ratio |
        | --- | --- |
        | a\|b | 2.5 |
    """
    rows = [list(frame.columns), ["---"] * len(frame.columns), *frame.itertuples(index=False)]
    escaped = ([str(cell).replace("|", r"\|") for cell in row] for row in rows)
    return "\n".join(f"| {' | '.join(row)} |" for row in escaped)
