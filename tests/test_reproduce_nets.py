"""The commands for nets, on images made up for the purpose, and the loader of the real ones."""

import csv
import io
import subprocess
import sys
import tarfile

import numpy as np
import pytest
from click.testing import CliRunner

from skrdia.cli import main
from skrdia.datasets import fetch_clothing1m, fetch_paper_images

pytest.importorskip("torch", reason="torch is not installed")
pytest.importorskip("skorch", reason="skorch is not installed")
from skrdia.reproduce import _pictures
from skrdia.reproduce._net_cells import NetCell, load
from skrdia.reproduce._nets import make_net
from skrdia.reproduce._paper_cells import Data


def blobs(n, seed):
    """Images of ten classes: a bright square in one of ten places."""
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 10, n)
    X = rng.integers(0, 60, (n, 28, 28)).astype(np.uint8)
    for image, label in zip(X, y, strict=True):
        row, column = divmod(int(label), 5)
        image[4 + 12 * row : 12 + 12 * row, 5 * column + 1 : 5 * column + 6] += 150
    return X, y.astype(np.uint8)


@pytest.fixture
def images(tmp_path, monkeypatch):
    """A folder with a small mnist.npz, named by SKRDIA_DATA."""
    (X, y), (X_test, y_test) = blobs(1500, 0), blobs(200, 1)
    np.savez(tmp_path / "mnist.npz", X_train=X, y_train=y, X_test=X_test, y_test=y_test)
    monkeypatch.setenv("SKRDIA_DATA", str(tmp_path))
    return tmp_path


def run(*args):
    result = CliRunner().invoke(main, ["reproduce", *map(str, args)], catch_exceptions=False)
    return result


def test_images(images):
    bunch = fetch_paper_images("mnist")
    assert bunch.X_train.shape == (1500, 1, 28, 28)
    assert bunch.X_train.dtype == np.float32
    assert 0.0 <= bunch.X_train.min() < bunch.X_train.max() <= 1.0
    assert bunch.y_test.dtype == np.int64
    with pytest.raises(ValueError, match=r"name='svhn' is unknown; use one of \['mnist', 'cifar10', 'cifar100'\]"):
        fetch_paper_images("svhn")
    with pytest.raises(FileNotFoundError, match=r"CIFAR10 is not complete.*SKRDIA_DATA"):
        fetch_paper_images("cifar10", data_home=images, download_if_missing=False)


def test_cells_draw_their_rows_and_noise(images):
    data, again, other = (load(NetCell("mnist", "mlp", "0.4", 300, 1, seed)) for seed in (0, 0, 1))
    assert data.X.shape == (300, 1, 28, 28)
    assert len(data.y_val) == 1000
    np.testing.assert_array_equal(data.y, again.y)
    assert not np.array_equal(data.y, other.y)
    assert 0.3 < (data.y != data.y_true).mean() < 0.5
    confused = load(NetCell("mnist", "mlp", "class", 300, 1, 0))
    wrong = confused.y != confused.y_true
    assert set(confused.y_true[wrong]) == {3}
    assert set(confused.y[wrong]) == {8}
    assert load(NetCell("mnist", "mlp", "0", 0, 1, 0)).X.shape[0] == 500


@pytest.mark.parametrize("name", ["mlp", "lenet", "cnn"])
@pytest.mark.parametrize(("dataset", "shape"), [("mnist", (1, 28, 28)), ("cifar10", (3, 32, 32))])
def test_nets_take_the_images(name, dataset, shape):
    net = make_net(name, dataset, 1).initialize()
    assert net.predict_proba(np.zeros((2, *shape), dtype=np.float32)).shape == (2, 10)


def test_table_of_noise(images):
    args = ["nets", "--nets", "mlp", "--noise", "0.4,class", "--subset", 200, "--epochs", 3, "--seeds", 1]
    args += ["--methods", "everything,recalibrated,fine-tuned,drop", "--output", images / "out"]
    result = run(*args)
    assert result.exit_code == 0, result.output
    with (images / "out" / "nets.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 8
    assert not any(row["error"] for row in rows)
    losses = {(row["noise"], row["method"]): float(row["loss"]) for row in rows}
    assert losses["0.4", "fine-tuned"] < losses["0.4", "everything"]
    assert min(float(row["over_best"]) for row in rows if row["method"] != "drop") == 0.0
    assert "Test log loss" in (images / "out" / "nets.md").read_text()
    assert (images / "out" / "nets.png").exists()
    again = run(*args)
    assert "0 cells measured" in again.output


def test_table_2(images):
    args = ["table2", "--datasets", "mnist", "--nets", "lenet", "--subset", 100, "--epochs", 1, "--seeds", 1]
    result = run(*args, "--methods", "erm,random,rdia,uids-sigmoid", "--output", images)
    assert result.exit_code == 0, result.output
    text = (images / "table2.md").read_text()
    assert "0.0283" in text  # the paper's ERM
    assert "0.0251" in text  # and its RDIA
    with (images / "nets.csv").open() as file:
        assert {row["method"] for row in csv.DictReader(file)} == {"erm", "random", "rdia", "uids-sigmoid"}


def test_harmful_images_of_a_net(monkeypatch):
    """Under a net, a training image with a wrong label harms a test image of that label most."""
    X, y = blobs(900, 0)
    kept = np.isin(y, (1, 7))
    X, y_true = X[kept].reshape(kept.sum(), -1) / 255.0, (y[kept] == 1).astype(np.int64)
    y = y_true.copy()
    y[:10] = 1 - y[:10]
    half = len(y) // 2
    rows = Data(X[:half], y[:half], y_true[:half], X[:half], y_true[:half], X[half:], y_true[half:])
    monkeypatch.setattr(_pictures, "load", lambda cell: rows)
    found = _pictures.find(_pictures.Picture("mnist", 0.1, 1, "lenet"), list(_pictures.RANKS))
    assert not any(row["error"] for row in found)
    assert [row["true_label"] for row in found] == [0, 0, 0]
    assert found[0]["influence"] >= found[2]["influence"]


def test_tables_of_relabelling(images):
    args = ["table6", "--nets", "mlp", "--subset", 300, "--epochs", 2, "--noise", "0.2,0.6", "--seeds", 2]
    args += ["--output", images / "out"]
    first = run(*args, "--methods", "erm,posterior,rdia-ls")
    assert first.exit_code == 0
    assert "12 cells measured" in first.output
    with (images / "out" / "relabelling.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["method"] for row in rows} == {"erm", "posterior", "rdia-ls"}
    assert all(0.05 <= float(row["accuracy"]) <= 1 and not row["error"] for row in rows)
    again = run(*args, "--methods", "erm,posterior-estimated,posterior-over,posterior-under")
    assert "12 cells measured" in again.output
    with (images / "out" / "relabelling.csv").open() as file:
        told = {(row["method"], row["noise"]): float(row["noise_rate"]) for row in csv.DictReader(file)}
    assert told["posterior", "0.6"] == 0.6
    assert told["posterior-over", "0.6"] == pytest.approx(0.8)
    assert told["posterior-under", "0.2"] == 0.0
    assert "posterior-estimated" in (images / "out" / "table6.md").read_text()


def test_the_paper_s_figures_stand_beside_its_own_net(images):
    args = ["table6", "--subset", 130, "--epochs", 1, "--noise", 0.8, "--seeds", 1, "--methods", "erm,rdia-ls"]
    assert run(*args, "--output", images / "out").exit_code == 0
    text = (images / "out" / "table6.md").read_text()
    assert "| 23.43 |" in text
    assert "| 87.85 |" in text


def test_missing_images_are_told(images, monkeypatch):
    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(images))
    monkeypatch.setattr("skrdia.datasets._paper_files._download", _no_network)
    result = run("table8", "--subset", 100, "--epochs", 1, "--output", images / "out")
    assert result.exit_code == 0
    assert "CIFAR100 is not complete on this machine" in result.output
    assert "cifar-100-binary.tar.gz" in result.output


def _no_network(file, cache):
    raise FileNotFoundError("no network")


def test_seconds_to_find(images):
    result = run("table10-deep", "--datasets", "mnist", "--subset", 200, "--output", images / "out")
    assert result.exit_code == 0
    text = (images / "out" / "table10-deep.md").read_text()
    assert text.count("| mnist | lenet |") == 3
    assert "4-5 h" in text


def test_cifar100(tmp_path, monkeypatch):
    monkeypatch.setenv("SKRDIA_DATA", str(tmp_path))
    planes = np.random.default_rng(0).integers(0, 256, (3, 3, 32, 32)).astype(np.uint8)
    with tarfile.open(tmp_path / "cifar-100-binary.tar.gz", "w:gz") as archive:
        for name, rows in (("train", slice(2)), ("test", slice(2, 3))):
            labels = np.array([[1, 99], [2, 5], [3, 7]], dtype=np.uint8)[rows]
            records = np.hstack([labels, planes[rows].reshape(len(labels), -1)]).tobytes()
            member = tarfile.TarInfo(f"cifar-100-binary/{name}.bin")
            member.size = len(records)
            archive.addfile(member, io.BytesIO(records))
    bunch = fetch_paper_images("cifar100")
    assert bunch.y_train.tolist() == [99, 5]
    assert bunch.y_test.tolist() == [7]
    np.testing.assert_array_equal(bunch.X_train, planes[:2] / np.float32(255))


def test_clothing1m(tmp_path, monkeypatch):
    monkeypatch.setenv("SKRDIA_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match="Clothing1M is not on this machine"):
        fetch_clothing1m(data_home=tmp_path)
    folder = tmp_path / "clothing1m"
    (folder / "images").mkdir(parents=True)
    keys = {"noisy_train": 2, "clean_train": 1, "clean_val": 1, "clean_test": 1}
    for name, n in keys.items():
        (folder / f"{name}_key_list.txt").write_text("".join(f"images/{name}{i}.jpg\n" for i in range(n)))
        for i in range(n):
            (folder / f"images/{name}{i}.jpg").touch()
    with pytest.raises(FileNotFoundError, match=r"category_names_eng.txt is missing"):
        fetch_clothing1m()
    (folder / "category_names_eng.txt").write_text("T-Shirt\nShirt\n")
    (folder / "noisy_label_kv.txt").write_text("images/noisy_train0.jpg 1\nimages/noisy_train1.jpg 0\n")
    (folder / "clean_label_kv.txt").write_text("images/clean_train0.jpg 0\nimages/clean_val0.jpg 1\n")
    with pytest.raises(ValueError, match=r"no label of images/clean_test0.jpg"):
        fetch_clothing1m()
    with (folder / "clean_label_kv.txt").open("a") as file:
        file.write("images/clean_test0.jpg 1\n")
    bunch = fetch_clothing1m()
    assert bunch.y_train.tolist() == [1, 0]
    assert bunch.y_test.tolist() == [1]
    assert bunch.files_val.tolist() == [str(folder / "images/clean_val0.jpg")]
    (folder / "images/clean_val0.jpg").unlink()
    with pytest.raises(FileNotFoundError, match=r"clean_val0.jpg is missing"):
        fetch_clothing1m()


def test_bad_options(images):
    for args, message in (
        (["nets", "--noise", "1.5"], "is no share of flipped labels"),
        (["nets", "--noise", "some"], "'some' is neither 'class' nor a share"),
        (["nets", "--nets", "resnet"], "net 'resnet' is unknown"),
        (["table2", "--methods", "magic"], "method 'magic' is unknown"),
    ):
        result = run(*args, "--output", images)
        assert result.exit_code == 2
        assert message in " ".join(result.output.replace("│", " ").split())


@pytest.mark.slow
def test_missing_torch_names_the_extra(images):
    """In another process, where importing skorch fails."""
    code = (
        "import sys; sys.modules['skorch'] = None\n"
        f"sys.argv = ['skrdia', 'reproduce', 'nets', '--output', {str(images)!r}]\n"
        "from skrdia.cli import main; main()"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "pip install 'skrdia[torch]'" in result.stderr
    code = "import sys; sys.modules['skorch'] = None\nimport skrdia.tracin"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ImportError: skrdia.tracin needs torch and skorch. Install them with: pip install 'skrdia[torch]'" in (
        result.stderr
    )
