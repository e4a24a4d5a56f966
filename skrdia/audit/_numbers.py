"""Numbers as people and programs write them: 1,234.5 and 1.234,5, 12.5%, $3, (3) for -3, 70 kg.

Most cells can be read in one way only: in "1,5" the comma is the decimal sign, in "1,234,567" and "1,234.5" it is not.
Those that can be read in two, such as "1,234", follow the others of their column, then the other columns of the file
(`decimal_of`). All units of a column must be one; numbers without it may stand beside "$" or "%", which change no
value ("12.5%" is 12.5), but not beside a unit of letters, for 3 and 3K are not the same.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

__all__ = ["NumberForm", "as_number", "decimal_of", "main_unit"]


class NumberForm(NamedTuple):
    """The decimal sign of a column, and the unit that its numbers may have."""

    decimal: str = "."
    unit: str = ""


PLAIN = NumberForm()
_SIGNS = "\u2212\u2013"
_MONEY = "$€£¥₹₽₩₺₴₫฿¢"
_SPACES = " \u00a0\u2009\u202f'\u2019"
_WRITTEN = re.compile(
    rf"""(?P<sign>[-+]?)\s*
    (?P<before>[{_MONEY}]|[A-Z]{{3}}\b)?\s*(?P<sign_after>[-+]?)\s*
    (?P<digits>(?:[0-9][0-9.,{_SPACES}]*|[.,][0-9]+)(?:[eE][-+]?[0-9]+)?)
    \s*(?P<after>[{_MONEY}]|[%‰°]|[^\W\d_]{{1,5}}[²³23]?)?""",
    re.VERBOSE,
)
_GROUPED = {
    ",": re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+"),
    ".": re.compile(r"[0-9]{1,3}(?:\.[0-9]{3})+"),
    " ": re.compile(rf"[0-9]{{1,3}}(?:([{_SPACES}])[0-9]{{3}})(?:\1[0-9]{{3}})*"),
}
_OTHER = {",": ".", ".": ","}


def as_number(cell: Any, form: NumberForm = PLAIN) -> float:
    """A cell as a finite number; ValueError or another error of `float` where it is none."""
    if not isinstance(cell, str):
        if isinstance(cell, bool) or type(cell).__name__ == "bool":
            raise ValueError("a boolean is no number")
        value = float(cell)
    elif form.decimal == "." and not form.unit and "," not in cell:
        try:
            value = float(cell)
        except ValueError:
            value = _parsed(cell, form)
        if "_" in cell:
            raise ValueError("no number")
    else:
        value = _parsed(cell, form)
    if not math.isfinite(value):
        raise ValueError("not finite")
    return value


def _parsed(text: str, form: NumberForm) -> float:
    sign, digits, unit = _split(text)
    if (unit and unit != form.unit) or (not unit and form.unit.isalpha()):
        raise ValueError("another unit")
    mantissa, exponent = _mantissa(digits)
    found = _decimal(mantissa)
    plain = _grouping_removed(mantissa, found or form.decimal)
    return sign * float(plain + exponent)


def _split(text: str) -> tuple[float, str, str]:
    """The sign, the digits with all that stands between them, and the unit."""
    text = text.strip()
    for sign in _SIGNS:
        text = text.replace(sign, "-")
    in_brackets = text.startswith("(") and text.endswith(")")
    found = _WRITTEN.fullmatch(text[1:-1].strip() if in_brackets else text)
    if not found or (found["before"] and found["after"]) or (found["sign"] and found["sign_after"]):
        raise ValueError("no number")
    signs = found["sign"] + found["sign_after"]
    if in_brackets and signs:
        raise ValueError("no number")
    return (
        -1.0 if in_brackets or signs == "-" else 1.0,
        found["digits"].strip(_SPACES),
        found["before"] or found["after"] or "",
    )


def _mantissa(digits: str) -> tuple[str, str]:
    at = digits.lower().find("e")
    return (digits, "") if at < 0 else (digits[:at], digits[at:])


def _decimal(mantissa: str) -> str | None:
    """The decimal sign that these digits must have; None where either would do, or none is needed."""
    signs = [char for char in mantissa if char in ",."]
    if not signs:
        return None
    if len(set(signs)) == 2:
        return signs[-1]
    if len(signs) > 1:
        return _OTHER[signs[0]]
    before, after = mantissa.split(signs[0])
    is_open = len(after) == 3 and 1 <= len(before) <= 3 and before.isdigit() and before[0] != "0"
    return None if is_open else signs[0]


def _grouping_removed(mantissa: str, decimal: str) -> str:
    """Digits that `float` reads; ValueError where groups are not of three digits."""
    whole, _, rest = mantissa.partition(decimal)
    if rest and not rest.isdigit():
        raise ValueError("no number")
    for group in (_OTHER[decimal], " "):
        if _GROUPED[group].fullmatch(whole):
            whole = re.sub(rf"[{_SPACES},.]", "", whole)
    if not whole.isdigit() and (whole or not rest):
        raise ValueError("no number")
    return f"{whole or '0'}.{rest or '0'}"


def decimal_of(cells: Iterable[Any]) -> str | None:
    """The decimal sign that cells of a column show: that of most of those which can be read in one way only."""
    votes: Counter[str] = Counter()
    for cell in cells:
        if isinstance(cell, str) and ("," in cell or "." in cell):
            try:
                found = _decimal(_mantissa(_split(cell)[1])[0])
            except ValueError:
                continue
            if found:
                votes[found] += 1
    return votes.most_common(1)[0][0] if votes else None


def is_open(cell: Any) -> bool:
    """Whether a cell is a number with one comma or point that may be a decimal sign or not."""
    try:
        mantissa = _mantissa(_split(cell)[1])[0]
    except (ValueError, AttributeError):
        return False
    return ("," in mantissa or "." in mantissa) and _decimal(mantissa) is None


def main_unit(cells: Sequence[Any]) -> str:
    """The unit of most of the numbers that have one, if these are more than a few; or nothing."""
    units: Counter[str] = Counter()
    for cell in cells:
        if isinstance(cell, str):
            try:
                units[_split(cell)[2]] += 1
            except ValueError:
                continue
    plain = units.pop("", 0)
    if not units:
        return ""
    unit, n = units.most_common(1)[0]
    return "" if unit.isalpha() and n < plain else unit
