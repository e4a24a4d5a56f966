"""The figures that the paper prints: mean and standard deviation over 5 runs where it gives one.

Kong, Shen, Huang, "Resolving training biases via influence-based data relabeling", ICLR 2022. Test losses are mean log
losses in nats. The paper names one method UIDS, the better of two samplers; it stands beside both.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["SECONDS", "TABLE_1", "TABLE_2", "TABLE_3", "TABLE_3_CHANGED", "TABLE_4", "TABLE_4_VALIDATION", "Figure"]


class Figure(NamedTuple):
    """A printed mean, and its printed standard deviation or nan."""

    mean: float
    deviation: float = float("nan")


def _line(erm: float, **others: tuple[float, float]) -> dict[str, Figure]:
    """One line of Table 1; ERM has no deviation."""
    figures = {name: Figure(*others[name]) for name in ("random", "optlr", "dropout", "uids", "rdia")}
    uids = figures.pop("uids")
    return {
        "erm": Figure(erm),
        **figures,
        "uids-linear": uids,
        "uids-sigmoid": uids,
        "rdia best on test": figures["rdia"],
    }


TABLE_1: dict[str, dict[str, Figure]] = {
    "breast-cancer": _line(
        0.0914,
        random=(0.2619, 0.0102),
        optlr=(0.0934, 0.0015),
        dropout=(0.0731, 0.0014),
        uids=(0.0786, 0.0006),
        rdia=(0.0649, 0.0001),
    ),
    "diabetes": _line(
        0.5170,
        random=(0.5461, 0.0006),
        optlr=(0.5232, 0.0012),
        dropout=(0.5083, 0.0008),
        uids=(0.5068, 0.0004),
        rdia=(0.4920, 0.0002),
    ),
    "news20": _line(
        0.5157,
        random=(0.5247, 0.0028),
        optlr=(0.5253, 0.0021),
        dropout=(0.5072, 0.0019),
        uids=(0.5075, 0.0012),
        rdia=(0.5007, 0.0015),
    ),
    "adult": _line(
        0.3383,
        random=(0.3381, 0.0001),
        optlr=(0.3547, 0.0001),
        dropout=(0.3383, 0.0001),
        uids=(0.3383, 0.0001),
        rdia=(0.3383, 0.0001),
    ),
    "real-sim": _line(
        0.2606,
        random=(0.2638, 0.0025),
        optlr=(0.2884, 0.0151),
        dropout=(0.2605, 0.0024),
        uids=(0.2607, 0.0031),
        rdia=(0.2575, 0.0021),
    ),
    "criteo": _line(
        0.4911,
        random=(0.4919, 0.0011),
        optlr=(0.4914, 0.0007),
        dropout=(0.4995, 0.0025),
        uids=(0.4895, 0.0012),
        rdia=(0.4894, 0.0010),
    ),
    "covtype": _line(
        0.6936,
        random=(0.6906, 0.0029),
        optlr=(0.6907, 0.0026),
        dropout=(0.6843, 0.0023),
        uids=(0.6784, 0.0032),
        rdia=(0.6776, 0.0024),
    ),
    "avazu": _line(
        0.3449,
        random=(0.3449, 0.0002),
        optlr=(0.3450, 0.0002),
        dropout=(0.3576, 0.0001),
        uids=(0.3447, 0.0001),
        rdia=(0.3447, 0.0001),
    ),
    "mnist": _line(
        0.0245,
        random=(0.2543, 0.0005),
        optlr=(0.0239, 0.0004),
        dropout=(0.0221, 0.0002),
        uids=(0.0238, 0.0003),
        rdia=(0.0207, 0.0001),
    ),
    "cifar10": _line(
        0.5952,
        random=(0.6174, 0.0025),
        optlr=(0.6163, 0.0021),
        dropout=(0.5946, 0.0017),
        uids=(0.5845, 0.0015),
        rdia=(0.5806, 0.0012),
    ),
}

# MNIST, 1 against 7; by noise, then method.
TABLE_3: dict[float, dict[str, Figure]] = {
    noise: {
        "erm": Figure(erm),
        "rdia at 0.01": Figure(high),
        "rdia at 0.002": Figure(middle),
        "rdia at 0.0002": Figure(low),
    }
    for noise, erm, high, middle, low in (
        (0.0, 0.0245, 0.0235, 0.0207, 0.0903),
        (0.2, 0.2567, 0.0443, 0.0315, 0.0392),
        (0.5, 0.6942, 0.0903, 0.0519, 0.0410),
        (0.8, 1.5975, 0.1009, 0.0465, 0.0405),
    )
}
TABLE_3_CHANGED: dict[float, dict[str, Figure]] = {
    noise: {
        "rdia at 0.01": Figure(high),
        "rdia at 0.002": Figure(middle),
        "rdia at 0.0002": Figure(low),
    }
    for noise, high, middle, low in (
        (0.0, 6, 71, 530),
        (0.2, 1439, 1721, 1804),
        (0.5, 3626, 4139, 4193),
        (0.8, 6140, 6545, 6589),
    )
}

# MNIST, 1 against 7, 40 % noise; by number of validation rows, then method.
TABLE_4: dict[int, dict[str, Figure]] = {
    n_val: {"erm": Figure(0.5219), "uids-linear": Figure(uids), "uids-sigmoid": Figure(uids), "rdia": Figure(rdia)}
    for n_val, uids, rdia in (
        (100, 0.4928, 0.3430),
        (200, 0.3873, 0.2080),
        (500, 0.2783, 0.1396),
        (1000, 0.2409, 0.0847),
    )
}
TABLE_4_VALIDATION: dict[int, dict[str, Figure]] = {
    n_val: {"erm": Figure(erm), "uids-linear": Figure(uids), "uids-sigmoid": Figure(uids), "rdia": Figure(rdia)}
    for n_val, erm, uids, rdia in (
        (100, 0.5337, 0.2388, 0.0679),
        (200, 0.5309, 0.2269, 0.0583),
        (500, 0.5233, 0.2417, 0.0494),
        (1000, 0.5275, 0.2331, 0.0514),
    )
}

# Table 10: seconds to find the harmful rows with logistic regression, on a server with two Xeon 1.7 GHz processors.
SECONDS: dict[str, float] = {"diabetes": 0.03, "news20": 1.8, "criteo": 7.1, "avazu": 4.2 * 60.0}


def _net_line(*figures: tuple[float, ...]) -> dict[str, Figure]:
    """One line of Table 2."""
    names = ("erm", "random", "optlr", "dropout", "uids-linear", "rdia")
    line = {name: Figure(*figure) for name, figure in zip(names, figures, strict=True)}
    return line | {"uids-sigmoid": line["uids-linear"]}


TABLE_2: dict[tuple[str, str], dict[str, Figure]] = {
    ("mnist", "lenet"): _net_line(
        (0.0283,), (0.0407, 0.0025), (0.0756, 0.0102), (0.0256, 0.0002), (0.0261, 0.0002), (0.0251, 0.0005)
    ),
    ("mnist", "cnn"): _net_line(
        (0.0322,), (0.0385, 0.0003), (0.0576, 0.0042), (0.0289, 0.0002), (0.0302, 0.0011), (0.0281, 0.0006)
    ),
    ("cifar10", "lenet"): _net_line(
        (1.1641,), (1.6247, 0.0223), (1.8341, 0.0421), (1.1721, 0.0019), (1.1534, 0.0017), (1.2631, 0.0015)
    ),
    ("cifar10", "cnn"): _net_line(
        (0.7744,), (0.8303, 0.0162), (1.2303, 0.0329), (0.7859, 0.0016), (0.7910, 0.0013), (0.6052, 0.0029)
    ),
}
"""By data set and net."""


def _accuracies(*figures: float) -> dict[float, Figure]:
    """One line of Tables 6 to 8: percent and deviation at each noise rate."""
    return {noise: Figure(*figures[2 * i : 2 * i + 2]) for i, noise in enumerate((0.2, 0.4, 0.6, 0.8))}


# Tables 6 to 8, test accuracy in percent: by data set, method and noise rate.
RELABELLING: dict[str, dict[str, dict[float, Figure]]] = {
    "mnist": {
        "erm": _accuracies(79.46, 0.42, 59.12, 0.37, 41.40, 0.05, 23.43, 0.3),
        "forward": _accuracies(98.02, 0.11, 87.05, 0.05, 74.15, 1.09, 63.83, 1.76),
        "self-teaching": _accuracies(94.49, 0.13, 92.49, 0.14, 86.26, 0.27, 75.95, 1.03),
        "co-teaching": _accuracies(97.89, 0.12, 94.05, 0.07, 90.72, 0.03, 78.54, 0.21),
        "sigua": _accuracies(97.94, 0.03, 96.57, 0.02, 93.84, 0.07, 83.75, 0.15),
        "rdia-ls": _accuracies(98.12, 0.02, 97.57, 0.05, 95.32, 0.06, 87.85, 0.21),
    },
    "cifar10": {
        "erm": _accuracies(71.84, 1.07, 55.62, 0.31, 35.56, 0.22, 16.90, 0.62),
        "forward": _accuracies(80.91, 0.16, 71.68, 0.65, 57.51, 0.24, 19.63, 0.78),
        "self-teaching": _accuracies(78.92, 0.21, 70.91, 0.26, 62.76, 0.05, 20.32, 0.13),
        "co-teaching": _accuracies(79.43, 0.11, 72.88, 0.08, 66.23, 0.32, 22.47, 0.15),
        "sigua": _accuracies(81.58, 0.36, 74.43, 0.11, 66.28, 0.14, 24.26, 0.23),
        "rdia-ls": _accuracies(82.94, 0.19, 77.26, 0.1, 67.52, 0.21, 25.35, 0.17),
    },
    "cifar100": {
        "erm": _accuracies(35.14, 0.44, 20.58, 0.23, 12.87, 0.42, 4.41, 0.14),
        "forward": _accuracies(47.51, 0.24, 37.91, 1.47, 22.75, 1.87, 2.1, 2.23),
        "self-teaching": _accuracies(47.37, 0.3, 40.55, 0.04, 30.62, 0.24, 13.49, 0.37),
        "co-teaching": _accuracies(47.15, 0.16, 41.41, 0.62, 30.78, 0.11, 15.15, 0.46),
        "sigua": _accuracies(48.52, 0.21, 42.93, 0.15, 30.73, 0.41, 14.31, 0.02),
        "rdia-ls": _accuracies(50.24, 0.15, 44.20, 0.1, 32.67, 0.17, 20.21, 0.04),
    },
}

RELABELLING_SECONDS = {"mnist": {"rdia": "4-5 h", "ls": "0.1 s"}, "cifar10": {"rdia": "7-9 h", "ls": "0.6 s"}}
"""Table 10, nets: by data set, to find the harmful rows by influence and by loss."""
