"""Dates and times as people and programs write them, as numbers: days since 1970, or a part of a day.

A form of a column is "iso", "time" for times of day alone, or the format of its dates for `datetime.strptime`. A time
of day may follow every date.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import Any

__all__ = ["as_days", "time_form", "words_of_form"]

_SECONDS_PER_DAY = 86_400.0
_ISO = re.compile(r"\d{4}-\d{2}-\d{2}(?!\d)")
_TIME = re.compile(
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2}(?:\.\d+)?))?(?:\s*(?P<half>[AaPp])\.?[Mm]\.?)?$"
)
_AT = re.compile(r"(?:^|[ T,]+)(\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:\s*[AaPp]\.?[Mm]\.?)?)$")
_SHAPES = {
    r"\d{8}": ["%Y%m%d"],
    r"\d{4}-\d{1,2}-\d{1,2}": ["%Y-%m-%d"],
    r"\d{4}/\d{1,2}/\d{1,2}": ["%Y/%m/%d"],
    r"\d{4}\.\d{1,2}\.\d{1,2}\.?": ["%Y.%m.%d"],
    r"\d{1,2}\.\d{1,2}\.\d{4}": ["%d.%m.%Y"],
    r"\d{1,2}\.\d{1,2}\.\d{2}": ["%d.%m.%y"],
    r"\d{1,2}/\d{1,2}/\d{4}": ["%m/%d/%Y", "%d/%m/%Y"],
    r"\d{1,2}/\d{1,2}/\d{2}": ["%m/%d/%y", "%d/%m/%y"],
    r"\d{1,2}-\d{1,2}-\d{4}": ["%d-%m-%Y", "%m-%d-%Y"],
    r"\d{4}-\d{1,2}": ["%Y-%m"],
    r"\d{1,2}[ -][A-Za-z]+[ -]\d{4}": ["%d-%b-%Y", "%d-%B-%Y"],
    r"\d{1,2}[ -][A-Za-z]+[ -]\d{2}": ["%d-%b-%y"],
    r"[A-Za-z]+ \d{1,2},? \d{4}": ["%b %d %Y", "%B %d %Y"],
    r"[A-Za-z]+ \d{4}": ["%b %Y", "%B %Y"],
}
_WORDS = {"%Y": "year", "%y": "year", "%m": "month", "%b": "month", "%B": "month", "%d": "day"}


def as_days(cell: Any, form: str = "iso") -> float:
    """A date or time in days since 1970, a time of day in days; ValueError where it is none."""
    if isinstance(cell, time):
        cell = cell.isoformat()
    if not isinstance(cell, str):
        return _since_1970(cell if isinstance(cell, datetime | date) else datetime.fromisoformat(str(cell)))
    text = cell.strip()
    if form == "time":
        return _of_day(text)
    if form == "iso" or _ISO.match(text):
        if not _ISO.match(text):
            raise ValueError("no date")
        return _since_1970(datetime.fromisoformat(text))
    at = _AT.search(text)
    part = _of_day(at[1]) if at else 0.0
    return _since_1970(datetime.strptime(_plain(text[: at.start()] if at else text), form)) + part


def _plain(text: str) -> str:
    """A date with blanks or hyphens, as the formats have them."""
    text = text.strip().removesuffix(".").replace(",", "")
    return re.sub(r"^(\d{1,2})[ -]([A-Za-z]+)[ -]", r"\1-\2-", text)


def _since_1970(moment: Any) -> float:
    if not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day)
    return float((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()) / _SECONDS_PER_DAY


def _of_day(text: str) -> float:
    found = _TIME.match(text.strip())
    if not found:
        raise ValueError("no time")
    hour, minute, second = int(found["hour"]), int(found["minute"]), float(found["second"] or 0)
    if found["half"]:
        if not 1 <= hour <= 12:
            raise ValueError("no time")
        hour = hour % 12 + 12 * (found["half"] in "pP")
    if hour > 23 or minute > 59 or second >= 61:
        raise ValueError("no time")
    return (hour * 3600 + minute * 60 + second) / _SECONDS_PER_DAY


def time_form(cells: Sequence[Any]) -> tuple[str | None, bool]:
    """The form in which most of these cells are dates or times, and whether another form would do as well."""
    best: tuple[str | None, int, bool] = (None, 0, False)
    for form in _possible(cells):
        n = sum(_is(cell, form) for cell in cells)
        if n > best[1]:
            best = form, n, False
        elif n and n == best[1] and form != best[0]:
            best = best[0], n, best[2] or _same_shape(best[0], form)
    return best[0], best[2]


def _possible(cells: Sequence[Any]) -> list[str]:
    """The forms that at least one cell has the shape of."""
    found = ["iso"] if any(not isinstance(cell, str) or _ISO.match(cell.strip()) for cell in cells) else []
    texts = [cell.strip() for cell in cells if isinstance(cell, str)]
    if any(_TIME.match(text) for text in texts):
        found.append("time")
    dates = [text[: at.start()].strip() if (at := _AT.search(text)) else text for text in texts]
    for shape, forms in _SHAPES.items():
        if any(re.fullmatch(shape, text) for text in dates):
            found += forms
    return found


def _same_shape(one: str | None, other: str) -> bool:
    return any(one in forms and other in forms and "%d" in other and "%B" not in other for forms in _SHAPES.values())


def _is(cell: Any, form: str) -> bool:
    try:
        as_days(cell, form)
    except (ValueError, TypeError, OverflowError):
        return False
    return True


def words_of_form(form: str) -> str:
    """A form in words: "day.month.year"."""
    return re.sub(r"%[YymbBd]", lambda found: _WORDS[found.group()], form)
