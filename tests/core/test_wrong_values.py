"""What is said of a value that pydantic refuses."""

from typing import Literal

import pytest
from pydantic import TypeAdapter, ValidationError

from lingraft.core.wrong_values import say_each_wrong

METHODS = Literal["frozen-head", "instant", "lora", "paper", "top-k"]


@pytest.mark.parametrize(
    ("wanted", "value", "said"),
    [
        (Literal["numbers"] | list[str], 5, ["expected 'numbers' or a list (got 5)"]),
        (Literal["a"] | list[str] | dict[str, str], 5, ["expected 'a', a list or keys with values (got 5)"]),
        (Literal["numbers"] | list[str], ["low", 3], ["expected text (got 3)"]),
        (float | int, "x", ["expected a number or a whole number (got 'x')"]),
        (list[str], [1, {}], ["expected text (got 1)", "expected text (got {})"]),
        (list[str], 5, ["expected a list (got 5)"]),
        (METHODS, "frozenhead", ["did you mean 'frozen-head'? (got 'frozenhead')"]),
        (METHODS, "x", ["expected 'frozen-head', 'instant', 'lora', 'paper' or 'top-k' (got 'x')"]),
        (METHODS, 5, ["expected 'frozen-head', 'instant', 'lora', 'paper' or 'top-k' (got 5)"]),
    ],
)
def test_what_may_be_one_of_several_things_is_one_mistake(wanted, value, said):
    """And what is nearly one of them is told what is wrong within; each wrong part of a list has its own line."""
    with pytest.raises(ValidationError) as refused:
        TypeAdapter(wanted).validate_python(value)
    assert say_each_wrong(refused.value.errors(), value) == said
