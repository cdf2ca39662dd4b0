"""What ``dir`` and ``help`` show of flatmin, in a process that has imported nothing yet."""

import pydoc
import subprocess
import sys

import flatmin


def test_dir_knows_every_public_name_before_any_is_imported():
    code = "import sys, flatmin; print(set(flatmin.__all__) <= set(dir(flatmin)), 'torch' in sys.modules)"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.split() == ["True", "False"]


def test_help_shows_every_public_name_and_the_docstring_groups_them():
    words = flatmin.__doc__.replace(",", " ").split()
    shown = pydoc.render_doc(flatmin, renderer=pydoc.plaintext)
    for name in set(flatmin.__all__) - {"__version__"}:
        assert name in words
        assert f"class {name}" in shown or f"    {name}(" in shown
