import subprocess
import sys

import pytest
from typer.testing import CliRunner

from flatmin.cli.data import app
from flatmin.core.errors import DataError

FOLDER = "cifar-10-batches-py"


def invoke(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments], env={"COLUMNS": "200"})


@pytest.mark.parametrize("command", ["list", "check", "fetch"])
def test_help_names_the_data_option(command):
    result = invoke(command, "--help")
    assert result.exit_code == 0
    assert "--data" in result.output
    assert "FLATMIN_DATA" in result.output


def test_help_does_not_import_torch():
    code = "import sys; import flatmin.cli.data; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_list_tells_verified_changed_damaged_and_absent(tmp_path, tiny_cifar10, tiny_mnist, lay_out, publish):
    lay_out(tmp_path / FOLDER, tiny_cifar10)
    publish("cifar10", tmp_path)
    lay_out(tmp_path / "mnist", tiny_mnist)
    (tmp_path / "cifar-100-python.tar.gz").write_bytes(b"\x1f\x8b")
    result = invoke("list", "--data", tmp_path)
    assert result.exit_code == 0
    rows = {
        line.split()[1]: line for line in result.output.splitlines() if line.startswith("│ ") and line.split()[1] != "│"
    }
    assert "scikit-learn" in rows["digits"]
    assert "yes" in rows["cifar10"]
    assert "differs" in rows["mnist"]
    assert "damaged" in rows["cifar100"]
    assert f"Searched: {tmp_path}, " in result.output
    assert "not found" in invoke("list").output


def test_check_prints_every_file(tmp_path, tiny_mnist, lay_out):
    lay_out(tmp_path / "mnist", tiny_mnist)
    result = invoke("check", "mnist", "--data", tmp_path, "--no-verify")
    assert result.exit_code == 0
    assert "mnist: 3 training and 2 test examples of 1 x 28 x 28, 10 classes" in result.output
    assert result.output.count("differs from the expected md5") == 4
    assert "not verified" in result.output


def test_check_of_the_digits():
    assert invoke("check", "digits").output.endswith("digits\nverified\n")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["check", "mnist"], "mnist: md5 .* differs|mnist/train-images-idx3-ubyte: md5"),
        (["check", "cifar10"], "cifar10 was not found"),
        (["check", "imagenet"], "no data set 'imagenet'"),
        (["fetch", "mnist"], "differs from the published"),
    ],
)
def test_failures_are_data_errors_of_one_line(tmp_path, tiny_mnist, lay_out, arguments, message):
    lay_out(tmp_path / "mnist", tiny_mnist)
    result = invoke(*arguments, "--data", tmp_path)
    with pytest.raises(DataError, match=message) as raised:
        raise result.exception
    assert "\n" not in str(raised.value)


def test_fetch_of_a_set_that_lies_there(tmp_path, tiny_cifar10, lay_out, publish):
    lay_out(tmp_path / FOLDER, tiny_cifar10)
    publish("cifar10", tmp_path)
    assert invoke("fetch", "cifar10", "--data", tmp_path).output == f"cifar10: ready in {tmp_path / FOLDER}\n"
    assert invoke("fetch", "digits").output == "digits: ready in scikit-learn\n"
