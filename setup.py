"""Puts the experiment files, which lie beside the package, into it when it is built; all else is in pyproject.toml."""

from pathlib import Path
from shutil import copy

from setuptools import setup
from setuptools.command.build_py import build_py


class WithExperiments(build_py):
    """The package and the experiments that it ships."""

    def run(self) -> None:
        """Build, then copy; an editable install finds them where they are."""
        super().run()
        if not self.editable_mode:
            folder = Path(self.build_lib, "flatmin", "shipped_experiments")
            folder.mkdir(parents=True, exist_ok=True)
            for file in sorted(Path("experiments").glob("*.yaml")):
                copy(file, folder)


setup(cmdclass={"build_py": WithExperiments})
