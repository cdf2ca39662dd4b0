"""What an attack does: measures taken before and after each symmetry, and what is left out."""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from flatmin.cli.brought import Subject, working
from flatmin.core.errors import ConfigError, FlatminError
from flatmin.results.words import counted, significant

if TYPE_CHECKING:
    from torch import nn

    from flatmin.measures.readings import Reading
    from flatmin.symmetries import Transformed

CHEAP = 1000.0
"""Passes over the examples that a measure may cost to be taken unasked."""
SAME_LOSS = 1e-6


@dataclass
class Attacked:
    """A network under attack, and what was found.

    Attributes:
        subject: The network before.
        model: It as a module, in float64.
        amount: Of every symmetry.
        seed: Of what is drawn.
        functions: The measures that could be taken.
        before: Their numbers of the network as it is.
        rows: One for each number and symmetry.
        done: What each symmetry did, in words.
        left_out: What was not done, with the reason.
        unconverged: Numbers whose search ran out of iterations, each with where.
        surprises: Numbers that moved though declared unchanged.
    """

    subject: Subject
    model: "nn.Module"
    amount: float
    seed: int
    functions: dict[str, Callable[[Any], Any]] = field(default_factory=dict)
    before: dict[str, "list[Reading]"] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    done: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    unconverged: dict[str, list[str]] = field(default_factory=dict)
    surprises: list[str] = field(default_factory=list)

    def cheap(self) -> Iterator[str]:
        """The declared measures that are taken unasked."""
        from flatmin.measures.readings import FUNCTIONS, names, passes

        for name in names():
            if name in FUNCTIONS:
                continue
            if (cost := passes(name, self.subject.objective)) <= CHEAP:
                yield name
            else:
                self.left_out[name] = f"it costs {cost:,.0f} passes over the examples; name it by --measure"

    def measure(self, functions: Mapping[str, Callable[[Any], Any]], *, named: bool) -> None:
        """Take measures of the network as it is; one that was not named may have no meaning for it."""
        for name, function in functions.items():
            try:
                self.before[name] = self._taken(name, function, self.subject, "")
            except FlatminError as error:
                if named:
                    raise
                self.left_out[name] = str(error).removesuffix(".")
            else:
                self.functions[name] = function

    def change(self, symmetry: str, *, named: bool) -> None:
        """Take them after a symmetry; one that was not named may have no place in the network."""
        try:
            with working(symmetry):
                found, after = self._transformed(symmetry)
        except ConfigError as error:
            reason = str(error).removeprefix(f"{symmetry}: ").removesuffix(".")
            if named:
                raise ConfigError(f"--symmetry {symmetry}: {reason}.") from None
            self.left_out[symmetry] = reason
            return
        changed = counted(found.places, "batch" if symmetry == "partition" else "place")
        self.done[symmetry] = f"{changed}, outputs equal to {found.difference:.1e} of the largest"
        facts = {"symmetry": symmetry, "amount": found.amount, "outputs": found.difference}
        for name, function in self.functions.items():
            try:
                taken = {one.name: one for one in self._taken(name, function, after, symmetry)}
            except FlatminError as error:
                self.left_out[f"{name} after {symmetry}"] = str(error).removesuffix(".")
                continue
            pairs = [(one, taken[one.name]) for one in self.before[name] if one.name in taken]
            self.rows += [facts | self._row(name, symmetry, *pair) for pair in pairs]

    def _transformed(self, symmetry: str) -> "tuple[Transformed, Subject]":
        """The network after a symmetry, which neither its outputs nor its loss have seen."""
        from flatmin.symmetries import NoPlace, transformed

        of, brought = self.subject, self.subject.brought
        try:
            found = transformed(self.model, brought.data.batches, symmetry=symmetry, amount=self.amount, seed=self.seed)
        except NoPlace as error:
            raise ConfigError(f"{error.reason}.") from None
        changed = brought.loss_of(found.model, of.checkpoint, of.batch_norm, found.batches)
        before, after = float(of.objective.value()), float(changed.value())
        if not abs(after - before) <= SAME_LOSS * max(1.0, abs(before)):
            raise ConfigError(
                f"the loss sees it, and goes from {significant(before, 4)} to {significant(after, 4)}; with another "
                "--loss, or another --batch-norm, it may not."
            )
        return found, Subject(brought, of.checkpoint, of.batch_norm, changed)

    def _taken(self, name: str, function: Callable[[Any], Any], of: Subject, symmetry: str) -> "list[Reading]":
        from flatmin.measures.readings import readings

        after = f" after {symmetry}" if symmetry else ""
        with working(f"taking {name}{after}"):
            found = readings(name, function(of.objective))
        for one in found:
            if one.converged is False:
                self.unconverged.setdefault(one.name, []).append(symmetry or "as it is")
        return found

    def _row(self, measure: str, symmetry: str, before: "Reading", after: "Reading") -> dict[str, Any]:
        from flatmin.measures import measures
        from flatmin.measures.invariances import judged

        verdict, declared = judged(before, after), measures().get(measure)
        if verdict == "moved" and declared is not None and symmetry in declared.unchanged_by:
            self.surprises.append(f"{before.name} is declared unchanged by {symmetry}, and moved")
        return {
            "measure": before.name,
            "before": before.value,
            "before_error": _error(before),
            "after": after.value,
            "after_error": _error(after),
            "ratio": after.value / before.value if before.value else math.nan,
            "judged": verdict,
        }


def _error(reading: "Reading") -> float | None:
    error = reading.standard_error
    return None if error is None or math.isnan(error) else error
