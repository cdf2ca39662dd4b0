"""Settings that a program makes and a file can say."""

from dataclasses import FrozenInstanceError, dataclass
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, ValidationError

from flatmin.core.checked import Checked, Misfit
from flatmin.core.fields import Count, Epoch, Epochs, Positive, Section, Seed, Share, known_keys, marked
from flatmin.experiments.budget import cut


@dataclass(frozen=True)
class Boots(Checked):
    size: Annotated[float, Field(ge=30, le=50)] = 42.0


@dataclass(frozen=True)
class Walk(Checked):
    steps: Epochs = 30
    pace: Positive = 1.0
    grade: Share = 0.5
    margin: Annotated[float, Field(ge=0)] = 0.0
    shift: float = 0.0
    seed: Seed = 0
    rests: Count | None = None
    way: Literal["up", "down"] = "up"
    wet: bool = False
    stops: tuple[Epoch, ...] = ()
    boots: Boots | None = None
    note: str | list[str] = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.wet and self.boots is None:
            raise Misfit("boots", "must be worn where it is wet, got none")


class Day(Section):
    walk: Walk = Walk()


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"steps": 0}, ValueError, "`steps` must be at least 1, got 0."),
        ({"steps": True}, TypeError, "`steps` must be an int, got bool."),
        ({"steps": None}, TypeError, "`steps` must be an int, got NoneType."),
        ({"pace": 0}, ValueError, "`pace` must be positive, got 0."),
        ({"pace": float("inf")}, ValueError, "`pace` must be finite, got inf."),
        ({"pace": "1"}, TypeError, "`pace` must be a number, got str."),
        ({"grade": 1.5}, ValueError, "`grade` must lie in (0, 1], got 1.5."),
        ({"margin": -1}, ValueError, "`margin` must lie in [0, inf), got -1."),
        ({"shift": float("nan")}, ValueError, "`shift` must lie in (-inf, inf), got nan."),
        ({"seed": 2**40}, ValueError, "`seed` must lie in [0, 4294967296), got 1099511627776."),
        ({"rests": 0}, ValueError, "`rests` must be at least 1, got 0."),
        ({"way": "off"}, ValueError, "`way` must be one of 'up', 'down', got 'off'."),
        ({"wet": 1}, TypeError, "`wet` must be a bool, got int."),
        ({"stops": (1, -1)}, ValueError, "`stops` must be at least 0, got -1."),
        ({"stops": 3}, TypeError, "`stops` must be iterable, got int."),
        ({"boots": 42}, TypeError, "`boots` must be an instance of Boots, got int."),
        ({"wet": True}, ValueError, "`boots` must be worn where it is wet, got none."),
    ],
    ids=str,
)
def test_a_program_hears_the_argument_the_rule_and_the_value(
    change: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error) as caught:
        Walk(**change)
    assert str(caught.value) == message


def test_a_file_has_sections_of_them() -> None:
    day = Day.model_validate({"walk": {"steps": 5, "pace": 2, "boots": {"size": 40}, "note": "late"}})
    assert day.walk == Walk(5, 2.0, boots=Boots(40.0), note="late")
    assert Day.model_validate(day.model_dump()) == day == Day(walk=day.walk)
    with pytest.raises(FrozenInstanceError):
        day.walk.steps = 6  # type: ignore[misc]


@pytest.mark.parametrize(
    ("section", "kind", "place"),
    [
        ({"stepz": 5}, "unexpected_keyword_argument", ("stepz",)),
        ({"steps": "5"}, "int_type", ("steps",)),
        ({"pace": float("inf")}, "finite_number", ("pace",)),
        ({"boots": {"size": 60}}, "less_than_equal", ("boots", "size")),
        ({"wet": True}, "value_error", ()),
    ],
    ids=str,
)
def test_a_file_is_held_to_the_same_rules(section: dict[str, Any], kind: str, place: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError) as caught:
        Day.model_validate({"walk": section})
    (problem,) = caught.value.errors()
    assert (problem["type"], problem["loc"]) == (kind, ("walk", *place))


def test_keys_and_budgets_see_into_them() -> None:
    assert known_keys(Day)["walk"]["boots"] == {"size": None}
    assert dict(marked(Walk(stops=(2, 7)), "epoch")) == {"steps": (30,), "stops": (2, 7)}
    assert cut(Walk(stops=(2, 7)), 0.1) == Walk(3, stops=(1,))
