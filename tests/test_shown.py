"""Values in messages are short, and read as a person would type them."""

import numpy as np
import pytest

from skrdia._shown import shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.int64(9), "9"),
        (np.float32(0.5), "0.5"),
        (np.str_("a"), "'a'"),
        (np.bool_(True), "True"),
        (np.datetime64("2024-01-31"), "2024-01-31"),
        (np.datetime64("NaT"), "NaT"),
        ([np.int64(1), (np.str_("a"), {np.int8(2): np.float64(3.0)})], "[1, ('a', {2: 3.0})]"),
        (np.array(["a", "b"]), "['a', 'b']"),
        (np.array(3), "3"),
        (None, "None"),
    ],
)
def test_shown(value, text):
    assert shown(value) == text


def test_what_is_long_is_cut():
    assert len(shown("a" * 10**6)) == 100
    assert shown(10**5000) == "an integer of 16,610 bits"
    assert shown(list(range(1000))).startswith("[0, 1, 2, ")
    assert len(shown([["b" * 1000] * 1000] * 1000)) < 50_000
