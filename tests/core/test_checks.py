import math
from typing import Any

import pytest

from flatmin.core.checks import one_of, positive, reiterable, whole


def test_good_values_come_back() -> None:
    assert positive("x", 2) == 2.0 and isinstance(positive("x", 2), float)
    assert whole("n", 0) == 0 and whole("n", 3, minimum=3) == 3
    assert one_of("name", "b", iter("ab")) == "b"
    assert reiterable("batches", [1]) == [1]


@pytest.mark.parametrize(
    ("check", "arguments", "error", "message"),
    [
        (positive, ("x", -0.1), ValueError, "`x` must be positive, got -0.1"),
        (positive, ("x", 0), ValueError, "`x` must be positive, got 0"),
        (positive, ("x", math.nan), ValueError, "`x` must be positive, got nan"),
        (positive, ("x", math.inf), ValueError, "`x` must be finite, got inf"),
        (positive, ("x", "1e-3"), TypeError, "`x` must be a number, got str"),
        (positive, ("x", True), TypeError, "`x` must be a number, got bool"),
        (whole, ("n", -1), ValueError, "`n` must be at least 0, got -1"),
        (whole, ("n", 1.0), TypeError, "`n` must be an int, got float"),
        (whole, ("n", True), TypeError, "`n` must be an int, got bool"),
        (one_of, ("name", "c", "ab"), ValueError, "`name` must be one of 'a', 'b', got 'c'"),
        (reiterable, ("batches", map(str, [])), TypeError, "`batches` must be re-iterable, got a map; pass list"),
        (reiterable, ("batches", None), TypeError, "`batches` must be iterable, got NoneType"),
    ],
)
def test_errors_name_argument_rule_and_value(
    check: Any, arguments: tuple[Any, ...], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        check(*arguments)


def test_a_loader_is_not_started_to_find_out_whether_it_can_be() -> None:
    class Loader:
        def __iter__(self) -> Any:
            raise AssertionError("started")

    assert reiterable("batches", loader := Loader()) is loader
