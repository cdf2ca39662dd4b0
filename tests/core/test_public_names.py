"""What ``dir`` and ``help`` show of flatmin, in a process that has imported nothing yet."""

import pydoc
import subprocess
import sys

import pytest

import flatmin
from flatmin.core.result import Result


def test_dir_knows_every_public_name_before_any_is_imported():
    code = "import sys, flatmin; print(set(flatmin.__all__) <= set(dir(flatmin)), 'torch' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["True", "False"]


def test_rooms_of_networks_and_data_are_there_before_they_are_imported():
    code = "import flatmin; print({'data', 'networks'} <= set(dir(flatmin)), flatmin.networks.F1, flatmin.data.load)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.startswith("True <class 'flatmin.networks.")


@pytest.mark.parametrize("result", sorted(Result.kinds))
def test_every_kind_of_result_is_public_for_annotations(result):
    if Result.kinds[result].__module__.startswith("flatmin.") and result not in ("Measured", "Slice"):
        assert getattr(flatmin, result) is Result.kinds[result] and result in flatmin.__all__


def test_help_on_a_network_for_a_trainer_says_what_it_takes_and_logs():
    for name in ("LightningF1", "LightningC4"):
        shown = pydoc.render_doc(getattr(flatmin.networks, name), renderer=pydoc.plaintext)
        for words in ("val_acc", '"adagrad"', "learning_rate: Constant", "inputs (N, "):
            assert words in shown


def test_help_shows_every_public_name_and_the_docstring_groups_them():
    words = flatmin.__doc__.replace(",", " ").split()
    shown = pydoc.render_doc(flatmin, renderer=pydoc.plaintext)
    for name in set(flatmin.__all__) - {"__version__"}:
        assert name in words
        assert f"class {name}" in shown or f"    {name}(" in shown
