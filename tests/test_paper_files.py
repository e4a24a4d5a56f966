"""Where the files of the paper's data sets are looked for, how they are downloaded, and what is refused."""

import sys
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pooch
import pytest

from skrdia.datasets import fetch_paper_dataset
from skrdia.datasets._paper_files import File
from skrdia.datasets._paper_readers import split_first
from skrdia.datasets._paper_tasks import TASKS, Shape

from .conftest import expect, write_rows

LIBSVM = "https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/binary/"


def test_order_of_folders_and_names(folder, monkeypatch, tmp_path):
    expect(monkeypatch, "news20", shapes=(Shape(3, 1_355_191),), split=partial(split_first, n_block=2))
    (folder / "A").mkdir()
    places = [folder / "news20.binary.bz2", folder / "news20.binary", folder / "A" / "news20.binary.gz"]
    for cache_folder, data_home in (
        (tmp_path / "sklearn" / "skrdia", None),
        (tmp_path / "other", tmp_path / "other"),
        (tmp_path / "other", str(tmp_path / "other")),
    ):
        candidates = [*places, cache_folder / "news20.binary.bz2"]
        cache_folder.mkdir(parents=True, exist_ok=True)
        for path in candidates:
            write_rows(path, 3)
        for path in candidates:
            assert fetch_paper_dataset("news20", data_home=data_home).files == [str(path)]
            path.unlink()


def test_without_skrdia_data_the_cache_is_read(folder, monkeypatch, tmp_path):
    monkeypatch.delenv("SKRDIA_DATA")
    expect(monkeypatch, "news20", shapes=(Shape(3, 1_355_191),), split=partial(split_first, n_block=2))
    write_rows(tmp_path / "news20.binary", 3)
    assert fetch_paper_dataset("news20", data_home=tmp_path).files == [str(tmp_path / "news20.binary")]


@pytest.mark.parametrize("name", sorted(set(TASKS) - {"breast-cancer"}))
def test_a_missing_file_is_named_and_no_network_is_touched(folder, name, retrieved, tmp_path):
    with pytest.raises(FileNotFoundError) as error:
        fetch_paper_dataset(name, data_home=tmp_path / "cache", download_if_missing=False)
    message = str(error.value)
    for source in TASKS[name].sources:
        for file in source.files:
            assert file.name in message
            assert (file.url or file.origin) in message
    assert f"SKRDIA_DATA names (now {folder})" in message
    assert str(tmp_path / "cache") in message
    assert retrieved == []
    assert not (tmp_path / "cache").exists()


def test_criteo_is_never_downloaded(folder, retrieved):
    with pytest.raises(FileNotFoundError, match=r"train.txt.svm in https:.*criteo.kaggle2014.svm.tar.xz.*tens of GB"):
        fetch_paper_dataset("criteo")
    assert retrieved == []


@pytest.mark.parametrize(
    ("name", "url", "known_hash"),
    [
        ("diabetes", f"{LIBSVM}diabetes_scale", None),
        ("news20", f"{LIBSVM}news20.binary.bz2", None),
        ("adult", f"{LIBSVM}a1a.t", None),
        (
            "real-sim",
            f"{LIBSVM}real-sim.bz2",
            "sha256:7cd52374f55ce62e803ef33ca1c44689427c23d481eff64026f8ba9f53b8cc27",
        ),
        ("covtype", f"{LIBSVM}covtype.libsvm.binary.scale.bz2", "md5:d95f45e15c284005c2c7a4c82e4be102"),
        ("avazu", f"{LIBSVM}avazu-app.tr.bz2", None),
        (
            "mnist",
            "https://ossci-datasets.s3.amazonaws.com/mnist/train-images-idx3-ubyte.gz",
            "md5:f68b3c2dcbeaaa9fbdd348bbdeb94873",
        ),
        (
            "cifar10",
            "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
            "md5:c32a1d4ab5d03f1284b67883e8d87530",
        ),
    ],
)
def test_downloads_and_what_is_said_when_they_fail(folder, retrieved, tmp_path, name, url, known_hash):
    with pytest.raises(FileNotFoundError, match=f"{url} could not be downloaded: no network here"):
        fetch_paper_dataset(name, data_home=tmp_path)
    assert retrieved[0] == {
        "url": url,
        "known_hash": known_hash,
        "fname": url.rpartition("/")[2],
        "path": tmp_path,
        "progressbar": True,
    }


def test_only_missing_files_are_downloaded_and_then_kept(folder, monkeypatch, tmp_path):
    expect(monkeypatch, "adult", shapes=(Shape(10, 123), Shape(4, 123)))
    write_rows(folder / "a1a.t", 10)
    calls = []

    def retrieve(url, known_hash, fname, path, progressbar):
        calls.append(url)
        write_rows(path / fname, 4)
        return str(path / fname)

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    for _ in range(2):
        assert fetch_paper_dataset("adult", data_home=tmp_path).files == [str(folder / "a1a.t"), str(tmp_path / "a1a")]
    assert calls == [f"{LIBSVM}a1a"]


def test_a_real_download(tmp_path, monkeypatch, capfd):
    served = tmp_path / "served"
    served.mkdir()
    write_rows(served / "news20.binary.bz2", 5)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(SimpleHTTPRequestHandler, directory=served))
    Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("SKRDIA_DATA", raising=False)
    file = File("news20.binary.bz2", f"http://127.0.0.1:{server.server_port}/news20.binary.bz2")
    expect(monkeypatch, "news20", files=(file,), shapes=(Shape(5, 1_355_191),), split=partial(split_first, n_block=3))
    bunch = fetch_paper_dataset("news20", data_home=tmp_path / "cache")
    server.shutdown()
    server.server_close()
    assert bunch.files == [str(tmp_path / "cache" / "news20.binary.bz2")]
    assert "100%" in capfd.readouterr().err


def expect_small_a9a(monkeypatch):
    """The third source of Adult, of few rows; the first cannot be downloaded, the second has no address."""
    small = (Shape(10, 123, 5), Shape(4, 123, 2))
    sources = TASKS["adult"].sources
    monkeypatch.setitem(
        TASKS, "adult", replace(TASKS["adult"], sources=(*sources[:2], replace(sources[2], shapes=small)))
    )


def test_a_later_source_is_used_where_it_is_on_this_machine(folder, monkeypatch, retrieved):
    expect_small_a9a(monkeypatch)
    write_rows(folder / "a9a", 10)
    write_rows(folder / "a9a.t", 4)
    bunch = fetch_paper_dataset("adult")
    assert retrieved == []
    assert bunch.departure.startswith("The authors train on a1a.t and test on a1a; here are a9a")


def test_a_later_source_is_used_where_a_download_fails(folder, monkeypatch):
    def retrieve(url, known_hash, fname, path, progressbar):
        if fname.startswith("a1a"):
            raise OSError("no such page")
        path.mkdir(exist_ok=True)
        write_rows(path / fname, 10 if fname == "a9a" else 4)
        return str(path / fname)

    expect_small_a9a(monkeypatch)
    monkeypatch.setattr(pooch, "retrieve", retrieve)
    bunch = fetch_paper_dataset("adult", data_home=folder / "cache")
    assert bunch.files == [str(folder / "cache" / name) for name in ("a9a", "a9a.t")]


@pytest.mark.parametrize("package", ["pooch", "tqdm"])
def test_a_download_names_its_extra(folder, monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(FileNotFoundError, match=r"pip install 'skrdia\[data\]'") as error:
        fetch_paper_dataset("news20")
    assert "news20.binary.bz2" in str(error.value)


def test_jpeg_images_name_their_extra(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    n_train, labels = 2, np.array([2, 3, 2], dtype=np.uint8)
    one = {"lengths": np.array([1, 1, 1]), "data": np.zeros(3, np.uint8), "prefix": np.zeros(1, np.uint8)}
    np.savez(folder / "cifar10_jpeg.npz", y=labels, n_train=n_train, **one)
    with pytest.raises(ImportError, match=r"Pillow: pip install 'skrdia\[data\]'"):
        fetch_paper_dataset("cifar10", download_if_missing=False)


# ------------------------------------------------------------------------------------------------------ what is refused


def test_unknown_name():
    with pytest.raises(ValueError, match=r"name='iris' is unknown; use one of \['breast-cancer', 'diabetes', 'news20'"):
        fetch_paper_dataset("iris")


def test_a_table_of_another_size(folder):
    write_rows(folder / "a1a.t", 10)
    write_rows(folder / "a1a", 5)
    with pytest.raises(ValueError, match="Adult: ") as error:
        fetch_paper_dataset("adult", download_if_missing=False)
    message = str(error.value)
    assert str(folder / "a1a.t") in message
    assert "10 rows (5 of class 1) x 123 columns and 5 rows (3 of class 1) x 123 columns" in message
    assert "expected 30956 rows (7446 of class 1) x 123 columns and 1605 rows" in message
    assert "Delete what is wrong, and fetch it again" in message


@pytest.mark.parametrize(
    ("name", "file", "content"),
    [
        ("diabetes", "diabetes_pima.npz", b"not an archive"),
        ("news20", "news20.binary.bz2", b"<html>404</html>"),
        ("news20", "news20.binary", b"<html>404</html>"),
        ("real-sim", "real-sim", b"1 20959:1.0\n"),
        ("cifar10", "cifar-10-binary.tar.gz", b"short"),
    ],
)
def test_a_damaged_file(folder, name, file, content):
    (folder / file).write_bytes(content)
    with pytest.raises(ValueError, match=f"(?s){file} cannot be read: .*Delete what is wrong"):
        fetch_paper_dataset(name, download_if_missing=False)
