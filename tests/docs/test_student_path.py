"""The student's path: every command on the page is one that runs, on a file that is there."""

import re
import shlex
from pathlib import Path

import pytest
from typer.main import get_command

from flatmin.cli import app
from flatmin.experiments import load_experiment

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "chapter_3.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
COMMANDS = [shlex.split(line, comments=True) for line in "".join(BLOCKS).splitlines()]
FLATMIN = [words[1:] for words in COMMANDS if words[0] == "flatmin"]
RUNS = [words[1:] for words in FLATMIN if words[0] == "run"]
SECTION = r"^## (3\.[12].*?)\n(.*?)(?=^#+ |\Z)"


@pytest.mark.parametrize("words", FLATMIN, ids=" ".join)
def test_every_command_is_one_of_flatmin(words):
    command = get_command(app)
    for word in words[:2]:
        commands = getattr(command, "commands", None)
        if commands is None:
            break
        assert word in commands
        command = commands[word]


@pytest.mark.parametrize("words", RUNS, ids=lambda words: words[0])
def test_every_run_names_an_experiment_that_is_there_and_settings_that_it_has(words):
    name, *overrides = words
    file = ROOT / "experiments" / f"{name}.yaml"
    assert file.is_file(), f"docs/chapter_3.md runs {name}, and there is no {file.relative_to(ROOT)}"
    load_experiment(file, overrides)


def test_every_section_has_one_command_a_picture_in_its_folder_and_all_that_is_promised():
    sections = re.findall(SECTION, PAGE, re.MULTILINE | re.DOTALL)
    assert len(sections) == len(RUNS) == 10
    for title, text in sections:
        ((name, *overrides),) = (shlex.split(line)[2:] for line in re.findall(r"^flatmin run .*$", text, re.MULTILINE))
        named = next((word.removeprefix("name=") for word in overrides if word.startswith("name=")), name)
        assert f"`results/{named}/figures" in text, title
        for part in ("**The book", "**Look at**", "**Measured", "**Where the book is imprecise.**"):
            assert text.count(part) == 1, (title, part)


def test_experiments_named_within_the_text_are_there():
    for name in re.findall(r"`flatmin run (\w+)", PAGE):
        assert (ROOT / "experiments" / f"{name}.yaml").is_file()
