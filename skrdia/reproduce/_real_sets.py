"""Texts whose labels really came wrong, with the right ones, as numbers.

    hausa, yoruba   titles of news, labelled by lists of names and words
    movie           reviews, in three classes by the ratings of a crowd
    amazon          reviews, about a book or not, by the answers of a crowd

Row i comes with the label j with probability V_ij, V (n, K) the votes: the shares of the ratings or answers of a crowd,
so that a draw is the label of one of its workers; of the news one, for the label that the lists gave.

The columns are those of TF-IDF (words and pairs of words in two texts at least, logarithmic counts), or, in the view
"dense", its 100 leading singular directions, standardised. Both are fitted on the training rows.
"""

from __future__ import annotations

import json
import lzma
import os
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skrdia.reproduce._names import TEXT_SETS
from skrdia.reproduce._tables import Codes
from skrdia.views._base import Array

__all__ = ["DENSE_COLUMNS", "TextRows", "load_texts"]

DENSE_COLUMNS = 100
_DRAW = 100  # added to the seed of the draw of labels, which is not that of the verified rows
_FILES = {
    "hausa": "B/hausa_yoruba_news.json.xz",
    "yoruba": "B/hausa_yoruba_news.json.xz",
    "movie": "B/movie_reviews_crowd.json.xz",
    "amazon": "B/amazon_isbook_crowd.json.xz",
}


class TextRows(NamedTuple):
    """Columns and codes 0 ... K - 1 of the training rows, the labels as they came and the right ones; the test rows."""

    X: Any
    given: Codes
    right: Codes
    X_test: Any
    y_test: Codes


class _Texts(NamedTuple):
    train: list[str]
    votes: Array
    right: Codes
    test: list[str]
    y_test: Codes


def load_texts(name: str, view: str, seed: int) -> TextRows:
    """Load a set.

    Parameters
    ----------
    name : str
        Of `TEXT_SETS`.
    view : {"tfidf", "dense"}
        Which columns.
    seed : int
        Of the draw of the labels as they came.

    Returns
    -------
    rows : TextRows
        Training and test rows.

    Raises
    ------
    ValueError
        If the name is unknown or the file is missing.
    """
    if name not in TEXT_SETS:
        raise ValueError(f"set {name!r} is unknown; use one of {list(TEXT_SETS)}.")
    folder = os.environ.get("SKRDIA_DATA", "")
    if not folder or not (Path(folder) / _FILES[name]).exists():
        raise ValueError(f"set {name!r} is not embedded: set SKRDIA_DATA to a folder that has {_FILES[name]}.")
    texts = _texts(name, folder)
    rng = np.random.default_rng(_DRAW + seed)
    given = np.array([rng.choice(len(row), p=row) for row in texts.votes], dtype=np.intp)
    X, X_test = _columns(name, view, folder)
    return TextRows(X, given, texts.right, X_test, texts.y_test)


@lru_cache(maxsize=8)
def _columns(name: str, view: str, folder: str) -> tuple[Any, Any]:
    texts = _texts(name, folder)
    tfidf = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, min_df=2)
    X, X_test = tfidf.fit_transform(texts.train).tocsr(), tfidf.transform(texts.test).tocsr()
    if view == "tfidf":
        return X, X_test
    dense = make_pipeline(TruncatedSVD(min(DENSE_COLUMNS, X.shape[1]), random_state=0), StandardScaler())
    return dense.fit_transform(X), dense.transform(X_test)


@lru_cache(maxsize=4)
def _texts(name: str, folder: str) -> _Texts:
    with lzma.open(Path(folder) / _FILES[name]) as file:
        stored = json.load(file)
    if name in ("hausa", "yoruba"):
        return _news(stored[name])
    train, test = stored["train"], stored["val" if name == "movie" else "test"]
    right = np.array(train["gold"], dtype=np.intp)
    if name == "movie":
        votes = np.array(train["conf"], dtype=np.float64)
    else:
        votes = np.zeros((len(right), 2))
        np.add.at(votes, (stored["answers"]["item"], stored["answers"]["label"]), 1.0)
    votes /= votes.sum(axis=1, keepdims=True)
    return _Texts(train["text"], votes, right, test["text"], np.array(test["gold"], dtype=np.intp))


def _news(stored: dict[str, Any]) -> _Texts:
    parts = ("train_clean_noisy_labels", "train_clean", "test")
    classes, codes = np.unique(np.concatenate([stored[part]["label"] for part in parts]), return_inverse=True)
    n = len(stored["train_clean"]["label"])
    given, right, y_test = codes[:n], codes[n : 2 * n], codes[2 * n :]
    return _Texts(stored["train_clean"]["text"], np.eye(len(classes))[given], right, stored["test"]["text"], y_test)
