"""Which minimum is sharper: one sentence per network and data set, with all that speaks against it."""

from typing import Any

import numpy as np
import pandas as pd

from flatmin.results import Tables
from flatmin.results.searches import pair_rows, seed_means
from flatmin.results.statistics import CHANCE, DIVERGED, PAIR, with_minima
from flatmin.results.words import BATCH_NORM_NAMES, DATA_NAMES, REGIME_NAMES, SEARCH_NAMES, SPACES, counted, significant

SMALL, LARGE = PAIR
PREFERRED = {"space": "full", "batch_norm": "batch"}


def verdict(tables: Tables) -> list[str]:
    """Say for each network and data set which minimum is sharper and by what ratio.

    The setting is fixed by rule and stated: the full space, else a random subspace; the largest epsilon; batch
    statistics, else the reading of BatchNorm that comes first; the largest subspace and the most examples. The
    strong search speaks first, the published one follows at the same setting.

    Args:
        tables: The results.

    Returns:
        The sentences, in the order of the tables. Networks that cannot be told from a guess have no minimum to judge
        and are left out. Seeds that disagree, searches that did not converge, zeros, infinities, a missing regime and
        what was left out are said, not averaged away.
    """
    guesses = tables.minima[tables.minima["status"] == CHANCE]
    frames = (tables.minima, tables.sharpness)
    ends = {run: set(rows["status"]) for run, rows in tables.minima.groupby(["network", "data"])}
    tables = with_minima(tables)
    runs = dict.fromkeys(run for frame in frames for run in zip(frame["network"], frame["data"], strict=True))
    sentences = []
    for network, data in runs:
        rows = pair_rows(tables)
        rows = rows[(rows["network"] == network) & (rows["data"] == data)]
        no_better = guesses[(guesses["network"] == network) & (guesses["data"] == data)]
        left = ((tables.minima["network"] == network) & (tables.minima["data"] == data)).any()
        nothing = "the sharpness was not measured" if left or no_better.empty else "no network can be told from a guess"
        if ends.get((network, data), set()) == {DIVERGED}:
            nothing = "every network diverged"
        text = sentence(rows) if len(rows) else f"no verdict, {nothing}"
        note = f"; {guessing(no_better)}" if len(no_better) and (left or len(rows)) else ""
        sentences.append(f"{network} on {DATA_NAMES.get(data, data)}: {text}{note}.")
    return sentences


def guessing(minima: pd.DataFrame) -> str:
    """Return how many networks were left out because they cannot be told from a guess."""
    return f"{counted(len(minima), 'network')} that cannot be told from a guess left out"


def sentence(rows: pd.DataFrame) -> str:
    """Return what the searches of one network and data set say, the strong search first."""
    methods = [*dict.fromkeys(("strong", "paper", *rows["method"]))]
    methods = [method for method in methods if method in set(rows["method"])]
    setting = chosen_setting(rows[rows["method"] == methods[0]])
    for column, value in setting.items():
        rows = rows[rows[column] == value]
    parts = []
    for method in methods:
        searches = rows[rows["method"] == method]
        name = SEARCH_NAMES.get(method, method)
        if searches.empty:
            parts.append(f"the {name} was not run at this setting")
        elif not parts:
            parts.append(finding(searches, [name, *setting_facts(setting)]))
        else:
            parts.append(f"by the {name} {finding(searches, [])}")
    return "; ".join(parts)


def chosen_setting(rows: pd.DataFrame) -> dict[str, Any]:
    """Return the column values of the setting to speak of; a column without values is left out."""
    setting: dict[str, Any] = {}
    for column in ("space", "epsilon", "batch_norm", "subspace_dim", "examples"):
        values = list(rows[column].dropna().unique())
        if not values:
            continue
        if column in PREFERRED:
            setting[column] = PREFERRED[column] if PREFERRED[column] in values else values[0]
        else:
            setting[column] = max(values)
        rows = rows[rows[column] == setting[column]]
    return setting


def setting_facts(setting: dict[str, Any]) -> list[str]:
    """Return the setting in words."""
    facts = [SPACES.get(setting["space"], setting["space"]), f"epsilon {setting['epsilon']:g}"]
    if "subspace_dim" in setting:
        facts.insert(1, f"p = {setting['subspace_dim']:g}")
    if "batch_norm" in setting:
        facts.append(BATCH_NORM_NAMES.get(setting["batch_norm"], setting["batch_norm"]))
    return facts


def finding(searches: pd.DataFrame, setting: list[str]) -> str:
    """Return what the searches of one method at one setting say, with what they rest on in brackets.

    Args:
        searches: The searches of both regimes.
        setting: Facts on the setting, which close the brackets.

    Returns:
        The claim; seeds without a known sharpness of both minima take no part in it and are counted.
    """
    wide = seed_means(searches).pivot(index="seed", columns="regime", values="sharpness").reindex(columns=[*PAIR])
    pairs = wide.dropna().astype("float64")
    missing = [regime for regime in PAIR if wide[regime].isna().all()]
    if missing:
        words = " and ".join(REGIME_NAMES[regime].replace(" ", "-") for regime in missing)
        return bracketed(f"no verdict, the sharpness of the {words} minimum is missing", setting)
    if pairs.empty:
        return bracketed("no verdict, no seed has the sharpness of both minima", setting)
    claim, facts = comparison(pairs)
    if len(pairs) < len(wide):
        facts.append(f"{counted(len(wide) - len(pairs), 'seed')} without both minima left out")
    failed = int((~searches["converged"].astype(bool)).sum())
    if failed:
        facts.append(f"{failed} of {len(searches)} searches not converged")
    return bracketed(claim, [*facts, *setting])


def comparison(pairs: pd.DataFrame) -> tuple[str, list[str]]:
    """Return the claim on both minima and the facts behind it.

    Args:
        pairs: Sharpness with one row per seed and one column per regime, without gaps.

    Returns:
        The claim, and the number of seeds with the range of their ratios.
    """
    small, large = pairs[SMALL], pairs[LARGE]
    seeds = counted(len(pairs), "seed")
    means = {SMALL: float(small.mean()), LARGE: float(large.mean())}
    sharper, flatter = (LARGE, SMALL) if means[LARGE] > means[SMALL] else (SMALL, LARGE)
    wins = {LARGE: int((large > small).sum()), SMALL: int((small > large).sum())}
    values = f"{significant(means[sharper])} % against {significant(means[flatter])} %"
    measurable = all(0 < mean < np.inf for mean in means.values())
    facts = [f"means over {seeds}" if len(pairs) > 1 else seeds]
    if all(wins.values()):
        most = max(wins, key=lambda regime: wins[regime])
        claim = f"the seeds disagree, the {minimum_name(most)} is sharper in {wins[most]} of {len(pairs)}"
        by = f"{significant(means[sharper] / means[flatter])} times" if measurable else values
        claim += f"; by the means the {minimum_name(sharper)} is, {by}"
    elif means[SMALL] == means[LARGE]:
        return f"no verdict, both minima have sharpness {significant(means[SMALL])} %", facts
    elif measurable:
        claim = f"the {minimum_name(sharper)} is sharper, {significant(means[sharper] / means[flatter])} times"
    else:
        claim = f"the {minimum_name(sharper)} is sharper, {values}"
    if len(pairs) > 1 and measurable:
        with np.errstate(divide="ignore", invalid="ignore"):
            each = pairs[sharper] / pairs[flatter]
        facts.append(f"single seeds {significant(float(each.min()))} to {significant(float(each.max()))}")
    return claim, facts


def minimum_name(regime: str) -> str:
    """Return the minimum's name, such as ``large-batch minimum``."""
    return f"{REGIME_NAMES[regime].replace(' ', '-')} minimum"


def bracketed(claim: str, facts: list[str]) -> str:
    """Return a claim with its facts in brackets."""
    return f"{claim} ({', '.join(facts)})" if facts else claim
