"""Results of every kind: tables, records, files and what they print."""

import io
import json
import math
import pickle
import zipfile
from dataclasses import dataclass, fields, replace

import numpy as np
import pytest
import torch
from torch import Tensor

import flatmin
from flatmin.core.errors import ResultsError
from flatmin.core.functions import FunctionObjective, QuadraticObjective
from flatmin.core.result import Result
from flatmin.landscapes import Line

BOWL = QuadraticObjective([1.0, 4.0, 2.0], theta=torch.tensor([0.1, 0.2, 0.3]))
PARTS = [BOWL, QuadraticObjective([1.0, 2.0, 3.0], theta=BOWL.theta)]
AXES = tuple(torch.eye(3)[:2])


def line() -> Line:
    """With a gap and an infinite wall."""
    function = FunctionObjective(lambda t: torch.where(t[0] > 1, 1 / (t[0] * 0), t[0].sqrt()), torch.zeros(3))
    return flatmin.slice_1d(function, AXES[0], [-1.0, 0.0, 0.1, 2.0])


FOUND = {
    "line": line,
    "plane": lambda: flatmin.slice_2d(BOWL, AXES, ([-1, 0, 0.5], [0.1, 0.2])),
    "sharpness": lambda: flatmin.epsilon_sharpness(BOWL),
    "sharpness in a subspace": lambda: flatmin.epsilon_sharpness(BOWL, subspace_dim=2, method="paper"),
    "average": lambda: flatmin.average_case_sharpness(BOWL, pairs=1),
    "geodesic": lambda: flatmin.geodesic_sharpness(BOWL, rho=0.1, pairs=[]),
    "worst case": lambda: flatmin.worst_case_sharpness(BOWL, rho=0.1),
    "effort": lambda: flatmin.effort(BOWL),
    "subsets": lambda: flatmin.over_subsets(flatmin.average_case_sharpness, PARTS),
    "lines of subsets": lambda: flatmin.over_subsets(lambda part: flatmin.slice_1d(part, AXES[0], [0.0, 1.0]), PARTS),
    "eigenvalues": lambda: flatmin.top_eigenvalues(BOWL, k=2),
    "trace": lambda: flatmin.trace(BOWL),
    "diagonal": lambda: flatmin.diagonal(BOWL),
    "density": lambda: flatmin.spectral_density(BOWL, probes=2),
    "spectrum": lambda: flatmin.spectrum(BOWL),
    "critical point": lambda: flatmin.critical_point(BOWL),
    "escape": lambda: flatmin.escape(BOWL, [-1.0, 1.0]),
    "stationary": lambda: flatmin.find_critical_point(BOWL),
    "curve": lambda: flatmin.connect(BOWL, torch.ones(3), epochs=2, batch_size=None),
    "barrier": lambda: flatmin.barrier(torch.tensor([1.0, float("nan"), 2.0]), [0.0, 0.5, 1.0]),
    "points": lambda: flatmin.plane_through(*torch.eye(3)),
}


def equal(first: object, second: object) -> bool:
    """Equal to the bit, with the types the same."""
    if isinstance(first, tuple):
        return isinstance(second, tuple) and all(map(equal, first, second)) and len(first) == len(second)
    if isinstance(first, Tensor):
        alike = first.dtype == second.dtype and first.shape == second.shape
        return alike and first.numpy().tobytes() == second.numpy().tobytes()
    return type(first) is type(second) and repr(first) == repr(second)


@pytest.mark.parametrize("name", FOUND)
def test_a_file_gives_back_what_was_saved_to_the_bit(name, tmp_path):
    found = FOUND[name]()
    back = flatmin.load(found.save(tmp_path / "found.npz"))
    assert type(back) is type(found)
    assert all(equal(getattr(found, field.name), getattr(back, field.name)) for field in fields(found))


@pytest.mark.parametrize("name", FOUND)
def test_what_a_result_prints_fits_a_screen(name):
    lines = repr(FOUND[name]()).splitlines()
    assert len(lines) <= 6 and max(map(len, lines)) <= 100
    assert "tensor(" not in "".join(lines)


@pytest.mark.parametrize("name", FOUND)
def test_a_table_has_no_vectors_and_a_record_is_json(name):
    found = FOUND[name]()
    frame = found.to_frame()
    assert all(np.ndim(value) == 0 for value in frame.to_numpy().ravel())
    assert not {"perturbation", "coordinates", "origin"} & set(frame.columns)
    json.dumps(found.to_record())


def test_a_plane_as_a_table_has_each_loss_beside_its_coordinates():
    plane = FOUND["plane"]()
    frame = plane.to_frame()
    for alpha, beta, loss in frame[["alpha", "beta", "loss"]].itertuples(index=False):
        x, y = 0.1 + alpha, 0.2 + beta
        assert loss == pytest.approx(x * x / 2 + 2 * y * y + 0.3**2, rel=1e-6)
    assert len(frame) == 6 and (frame["engine"] == "flatmin").all()
    assert [*frame.columns[:3], *frame.columns[-2:]] == ["alpha", "beta", "loss", "batch_norm", "examples"]


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Odd(Result):
    """A result of somebody's own; nothing but its fields."""

    weights: Tensor
    pair: tuple[Tensor, Tensor]
    steps: tuple[float, ...]
    text: str
    nothing: int | None
    ratio: float


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.complex128, torch.int8, torch.bool])
def test_a_result_of_ones_own_is_kept_by_deriving_it(dtype, tmp_path):
    weights = torch.tensor([[0.1, 3.0], [1.0, 0.0]]).to(dtype)
    odd = Odd(
        weights=weights,
        pair=(weights.T, torch.zeros(0)),
        steps=(math.inf, -0.0, 1e-320),
        text='a "b"\n',
        nothing=None,
        ratio=-math.inf,
    )
    back = flatmin.load(odd.save(tmp_path / "odd.npz"))
    assert back.weights.dtype == dtype and torch.equal(back.weights, weights) and torch.equal(back.pair[0], weights.T)
    assert repr(back.steps) == repr(odd.steps) and (back.text, back.nothing, back.ratio) == (odd.text, None, -math.inf)
    assert "shape (2, 2)" in repr(odd)


def test_a_result_has_a_name_of_its_own():
    with pytest.raises(TypeError, match=r"'Line', which flatmin\.landscapes\.values has"):
        type("Line", (Result,), {})


def test_numpy_alone_reads_the_arrays_of_a_file(tmp_path):
    with np.load(line().save(tmp_path / "line.npz"), allow_pickle=False) as arrays:
        assert arrays["alphas"].tolist() == [-1.0, 0.0, 0.1, 2.0]


class Code:
    def __reduce__(self):
        return pytest.fail, ("the file was run",)


def npz(header: object = None, *, compressed: bool = False, **arrays: object) -> bytes:
    stream = io.BytesIO()
    told = {} if header is None else {"flatmin": np.array(header if isinstance(header, str) else json.dumps(header))}
    (np.savez_compressed if compressed else np.savez)(stream, **told, **arrays)
    return stream.getvalue()


def claiming(shape: str) -> bytes:
    """An archive with an array of eight bytes that says it has another shape."""
    stream = io.BytesIO()
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("loss.npy", b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode() + bytes(8))
    return stream.getvalue()


def of_line(**changes: object) -> bytes:
    values = {
        **{"alphas": {"array": "alphas"}, "loss": {"array": "loss"}, "accuracy": {"array": "loss"}},
        **{"base_loss": 0.0, "center_loss": 0.0, "engine": "flatmin", "batch_norm": None, "examples": None},
    }
    two = np.zeros(2)
    return npz({"format": 1, "kind": "Line", "values": values | changes}, alphas=two, loss=two, three=np.zeros(3))


BAD = {
    "empty": b"",
    "text": b"alpha,loss\n0,1\n",
    "a pickle": pickle.dumps(Code()),
    "somebody's arrays": npz(loss=np.zeros(2)),
    "pickled arrays": npz({"format": 1, "kind": "Line", "values": {}}, loss=np.array([Code()], dtype=object)),
    "compressed": npz({}, compressed=True, loss=np.zeros(10**6)),
    "an array of 8 TB": claiming("(1000000000000,)"),
    "an array of no size": claiming("(-1,)"),
    "nested brackets": claiming("(" * 5000),
    "a nested header": npz("[" * 10**5),
    "a header of digits": npz('{"format": 1' + "0" * 10**5 + "}"),
    "another kind": npz({"format": 1, "kind": "Line2D", "values": {}}),
    "a later format": npz({"format": 2, "kind": "Line", "values": {}}),
    "no fields": npz({"format": 1, "kind": "Line", "values": {}}),
    "a field too many": of_line(more=1),
    "text for a number": of_line(base_loss="high"),
    "an array that is not there": of_line(loss={"array": "loose"}),
    "lengths that differ": of_line(loss={"array": "three"}),
    "a list for an array": of_line(loss=[1, 2]),
    "no file but a folder": None,
}


@pytest.mark.parametrize("case", BAD)
def test_what_flatmin_did_not_write_is_refused_in_one_line(case, tmp_path):
    path = tmp_path / "found.npz"
    path.mkdir() if BAD[case] is None else path.write_bytes(BAD[case])
    with pytest.raises(ResultsError, match=r"^(?!.*\n).*found\.npz.*\.$"):
        flatmin.load(path)


def test_the_line_that_the_bad_ones_are_made_of_is_good(tmp_path):
    (tmp_path / "found.npz").write_bytes(of_line())
    assert len(flatmin.load(tmp_path / "found.npz").alphas) == 2


def test_a_file_cut_or_changed_anywhere_is_refused_or_read_as_it_was(tmp_path):
    path, found = tmp_path / "line.npz", line()
    content = found.save(path).read_bytes()
    for place in range(0, len(content), 41):
        path.write_bytes(content[:place])
        with pytest.raises(ResultsError):
            flatmin.load(path)
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        try:
            back = flatmin.load(path)
        except ResultsError:
            continue
        assert equal(back.loss, found.loss) and equal(back.alphas, found.alphas)


def test_a_full_disk_leaves_the_earlier_file_as_it_was(tmp_path, monkeypatch):
    path = line().save(tmp_path / "found.npz")
    before = path.read_bytes()
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(ResultsError, match="no space left on device"):
        FOUND["plane"]().save(path)
    assert path.read_bytes() == before and [path] == list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("found", "caution"),
    [
        (line, "2 of 4 losses NOT FINITE"),
        (lambda: flatmin.average_case_sharpness(QuadraticObjective([1.0, -1.0])), "NOT TOLD FROM 0"),
        (lambda: replace(flatmin.epsilon_sharpness(BOWL), converged=False), "NOT CONVERGED: a climb ran out"),
        (lambda: replace(flatmin.epsilon_sharpness(BOWL), spread=0.4), "CLIMBS DISAGREE by 40%"),
        (lambda: replace(flatmin.epsilon_sharpness(BOWL), not_a_number=2), "losses were NOT A NUMBER"),
    ],
)
def test_what_is_not_to_be_trusted_says_so(found, caution):
    assert caution in " ".join(repr(found()).split())
