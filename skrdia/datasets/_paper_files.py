"""Where the files of a data set are looked for, and how they are downloaded."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

__all__ = ["File", "cache_folder", "obtain"]

_COMPRESSED = (".bz2", ".gz")


@dataclass(frozen=True)
class File:
    """A file by the name it is published under; `origin` says where it comes from if it has no address of its own."""

    name: str
    url: str = ""
    hash: str | None = None  # as in "md5:...", None where none is known
    origin: str = ""

    @property
    def names(self) -> list[str]:
        """The names it may have on a disk: of LIBSVM's files some are compressed, and anyone may unpack them."""
        plain = self.name.removesuffix(".bz2").removesuffix(".gz")
        if plain.endswith(".npz"):
            return [plain]
        return list(dict.fromkeys([self.name, plain, *(plain + suffix for suffix in _COMPRESSED)]))


def cache_folder(data_home: str | os.PathLike[str] | None) -> Path:
    """Return where downloads go: by default in scikit-learn's data folder, which `get_data_home` would create."""
    if data_home is not None:
        return Path(data_home).expanduser()
    return Path(os.environ.get("SCIKIT_LEARN_DATA") or "~/scikit_learn_data").expanduser() / "skrdia"


def obtain(file: File, cache: Path, download_if_missing: bool) -> Path:
    """Return the path of a file, downloaded if need be; a FileNotFoundError says why there is none."""
    own = os.environ.get("SKRDIA_DATA")
    folders = [Path(own), Path(own) / "A", cache] if own else [cache]
    for path in (folder / name for folder in folders for name in file.names):
        if path.is_file():
            return path
    if not file.url:
        raise FileNotFoundError(f"{file.name} has to be put there by hand.")
    if not download_if_missing:
        raise FileNotFoundError(f"{file.name} may not be downloaded: download_if_missing=False.")
    return _download(file, cache)


def _download(file: File, cache: Path) -> Path:
    try:
        import pooch
        import tqdm  # noqa: F401 - pooch draws its progress bar with it
    except ImportError as error:
        raise FileNotFoundError(f"Downloads need an extra: pip install 'skrdia[data]' ({error}).") from error
    try:
        path = pooch.retrieve(url=file.url, known_hash=file.hash, fname=file.name, path=cache, progressbar=True)
    except Exception as error:  # no network, no such page, another hash, a full disk: none leaves a file
        raise FileNotFoundError(f"{file.url} could not be downloaded: {error}") from error
    return Path(path)
