import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flatmin.results import formats

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS = st.none() | st.booleans() | st.integers() | TEXTS
FINITE = st.recursive(
    SCALARS | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def same(first: object, second: object) -> bool:
    """Equal in value and in type, and not-a-number equal to itself."""
    return repr(first) == repr(second)


@given(FINITE)
def test_yaml_gives_back_every_finite_value(value):
    assert same(formats.from_yaml(formats.to_yaml(value)), value)


@given(FINITE | st.lists(st.floats(), max_size=3))
def test_json_gives_back_every_value(value):
    assert same(formats.from_json(formats.to_json(value)), value)


@given(st.lists(st.floats(allow_nan=False) | st.just(math.nan), min_size=1))
def test_csv_gives_back_every_float(values):
    frame = pd.DataFrame({"regime": "small_batch", "value": np.array(values)})
    found = formats.from_csv(formats.to_csv(frame))["value"].to_numpy(np.float64)
    np.testing.assert_array_equal(found, values)
    np.testing.assert_array_equal(np.signbit(found), np.signbit(values))


def test_csv_widens_narrow_floats_exactly():
    frame = pd.DataFrame({"value": np.float32([0.1, 1e-30])})
    assert formats.from_csv(formats.to_csv(frame))["value"].tolist() == frame["value"].astype(float).tolist()


def test_csv_keeps_text_that_looks_like_something_else():
    frame = pd.DataFrame({"regime": ["1", "NA", "None", 'a,"b"\nc'], "seed": [0, 1, 2, 3]})
    found = formats.from_csv(formats.to_csv(frame))
    assert found["regime"].tolist() == frame["regime"].tolist()
    assert found["seed"].dtype == np.int64


def test_npz_gives_back_arrays_and_equal_arrays_give_equal_bytes():
    arrays = {"theta": np.arange(6, dtype=np.float32).reshape(2, 3), "mask": np.array([True, False])}
    content = formats.to_npz(arrays)
    found = formats.from_npz(content)
    assert content == formats.to_npz(arrays)
    assert {name: (array.dtype, array.tolist()) for name, array in found.items()} == {
        name: (array.dtype, array.tolist()) for name, array in arrays.items()
    }


def test_npz_refuses_objects():
    with pytest.raises(TypeError, match="array 'names' must be numeric, got Python objects"):
        formats.to_npz({"names": np.array(["a", None], dtype=object)})


def test_plain_turns_numpy_scalars_and_tuples_into_python():
    value = formats.plain({"a": np.float32(0.1), "b": (np.int64(2), np.bool_(True))})
    assert same(value, {"a": float(np.float32(0.1)), "b": [2, True]})


@pytest.mark.parametrize(
    ("value", "error", "message"),
    [
        ({"a": [0.0, math.nan]}, ValueError, r"`setup\['a'\]\[1\]` must be finite, got nan"),
        ({"a": math.inf}, ValueError, r"`setup\['a'\]` must be finite, got inf"),
        ({"a": {1}}, TypeError, r"`setup\['a'\]` must be made of dicts, .* got set"),
        ({"a": {1: 2}}, TypeError, r"`setup\['a'\]` must have text keys, got 1"),
    ],
)
def test_plain_names_what_it_refuses(value, error, message):
    with pytest.raises(error, match=message):
        formats.plain(value, "setup", finite=True)


DEEP = {"json": b"[" * 100_000 + b"]" * 100_000, "shallower": b'{"a": ' * 60 + b"1" + b"}" * 60}
REPEATED = b"a0: &a0 [l, l, l, l, l, l, l, l, l]\n" + b"".join(
    b"a%d: &a%d [%s]\n" % (n + 1, n + 1, b", ".join([b"*a%d" % n] * 9)) for n in range(8)
)


@pytest.mark.parametrize("content", DEEP.values(), ids=DEEP)
def test_what_is_nested_without_end_is_refused(content):
    for read in (formats.from_json, formats.from_yaml):
        with pytest.raises(ValueError, match="it is nested more than 50 levels deep"):
            read(content)


@pytest.mark.parametrize(
    ("content", "message"), [(REPEATED, "aliases stand for more than 10,000"), (b"&a [*a]", "that it is a part of")]
)
def test_aliases_of_aliases_are_refused(content, message):
    with pytest.raises(ValueError, match=rf"\A.*{message}.*\Z"):
        formats.from_yaml(content)
