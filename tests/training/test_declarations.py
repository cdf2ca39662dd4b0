"""What can be set of training is declared once: for programs, for files, and for the identity of a result."""

import json
import math
import subprocess
import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from flatmin.core.checked import Checked
from flatmin.training import (
    Augmentation,
    Conservative,
    Decay,
    GrowingBatch,
    Method,
    SlowStart,
    TrainingSettings,
    WarmUp,
)
from flatmin.training.methods import methods
from flatmin.training.settings import ALWAYS_NAMED, PHASES, Training

DECLARED: list[type[Checked]] = [Training, Augmentation, *methods().values()]
DECLARED += [Decay, GrowingBatch, SlowStart, WarmUp]
VALUES = (
    *(-1, -0.0, 0, 1, 2, 180, 181, 0.5, 1.0, 1e-9, math.nan, math.inf, -math.inf),
    *(True, False, None, "x", "sgd", "adam", "bfloat16", "robust", (), (1,), [], {}),
)


@pytest.mark.parametrize("kind", DECLARED, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_programs_and_files_may_say_the_same(kind: type[Checked], value: Any) -> None:
    for field in fields(kind):
        if value == {} and field.name in PHASES:
            continue  # the keys of a section, all left out: a program makes the section itself
        try:
            made = kind(**{field.name: value})
        except (TypeError, ValueError):
            made = None
        try:
            read = TypeAdapter(kind).validate_python({field.name: value})
        except ValidationError:
            read = None
        assert made == read, field.name


def test_training_settings_are_those_of_a_file_and_five_of_their_own() -> None:
    own = {field.name for field in fields(TrainingSettings)} - {field.name for field in fields(Training)}
    assert own == {"batch_size", "augmentation", "method", "snapshots", "swap"}
    where_set = {"precision", "weight_decay", *PHASES, "gradient_clip", "ghost_batch_norm", "stop_at_accuracy"}
    assert {name for name in ALWAYS_NAMED if name != "batch_size"} == {f.name for f in fields(Training)} - where_set


CAREFUL = """
from dataclasses import KW_ONLY, dataclass
from typing import Literal
from flatmin.core.fields import Share
from flatmin.training.methods import Method

@dataclass(frozen=True)
class Careful(Method):
    care: Share = 0.5
    _: KW_ONLY
    name: Literal["careful"] = "careful"

METHOD = Careful
"""
FILE = """
name: careful
data: digits
network: F1
variations: {a: {batch_size: 8, method: careful}, b: {batch_size: 8, method: {name: careful, care: 0.2}}}
"""
CODE = """
import json, sys
import flatmin.training.methods
flatmin.training.methods.__path__.append(sys.argv[1])
from pathlib import Path
from flatmin.core.errors import ConfigError
from flatmin.experiments import load_experiment
from flatmin.training import TrainingSettings
file = Path(sys.argv[1]) / "careful.yaml"
variations = load_experiment(file).variations.values()
found = [TrainingSettings(8, method=one.method).described()["method"] for one in variations]
try:
    load_experiment(file, ["variations.b.method.care=2"])
except ConfigError as error:
    found.append(str(error))
print(json.dumps(found + ["torch" in sys.modules]))
"""


def test_a_method_is_added_by_a_file(tmp_path: Path) -> None:
    (tmp_path / "careful.py").write_text(CAREFUL)
    (tmp_path / "careful.yaml").write_text(FILE)
    result = subprocess.run([sys.executable, "-c", CODE, tmp_path], capture_output=True, text=True, check=True)
    assert json.loads(result.stdout) == [
        {"name": "careful", "care": 0.5},
        {"name": "careful", "care": 0.2},
        "override variations.b.method.care=2: variations.b.method.care must be at most 1, got 2.",
        False,
    ]


def test_a_method_has_the_name_of_its_class() -> None:
    @dataclass(frozen=True)
    class Careless(Method):
        name = "careless"

    for make in (Careless, lambda: Method(name="robust"), lambda: Conservative(name="robust")):
        with pytest.raises(ValueError, match="`name` must be one of"):
            make()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "robust"}, "`method` must be an instance of Method, got str."),
        ({"augmentation": {}}, "`augmentation` must be an instance of Augmentation, got dict."),
    ],
)
def test_what_is_no_method_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        TrainingSettings(8, **changes)
