"""Influence of every label of every training row on the validation loss: one solve, then one dot product per row.

With F(theta) = sum_ik Y_ik (-log p_k(x_i)) + Omega(theta) the training objective, n = Y.sum() its total weight, H the
Hessian of F / n, and Lv the mean validation cross-entropy, all at the fitted theta,

    s      = H^-1 grad Lv                             (p,)    one linear solve
    phi_ik = -s . grad(-log p_ik) = jvp(X, s)_ik      (n, K)  influence of label k on sample i
    phi_i  = phi_im, m the given label                (n,)    influence of the sample as labelled

phi_i > 0 means harmful: up-weighting the sample raises the validation loss. Deleting a sample of weight w changes Lv by
about -w phi_i / n, relabelling it from m to k by about w (phi_ik - phi_im) / n. The unit is that of Lv (nats), and does
not change with the number of training or validation rows.

phi_i is the mean over the validation rows j, weighted by w_j, of M_ji, the influence on the loss of row j alone. Its
standard error, for m validation rows of positive weight that are independent draws, is that of a weighted mean,

    se_i^2 = m / (m - 1) sum_j w_j^2 (M_ji - phi_i)^2 / (sum_j w_j)^2            (n,)

For equal weights it is the standard deviation over j, with m - 1 in the denominator, over the root of m. It does not
change with the unit of the weights: a row of weight two is one observation that counts double, not two observations.
The deviations are linear in the gradient: M_ji - phi_i = jvp(X, H^-1 (grad l_j - grad Lv))_i. So the sum of squares
needs at most p solves, for vectors v_r with the sum of v_r v_r' that the weighted deviations of the gradient have.

References: Kong, Shen, Huang, "Resolving training biases via influence-based data relabeling", ICLR 2022, Eq. (2), (6).
Koh, Liang, "Understanding black-box predictions via influence functions", ICML 2017. Cochran, "Sampling techniques",
1977, chapter 6 (the error of a ratio of sums).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import gen_batches
from sklearn.utils.validation import check_consistent_length

from skrdia._validation import check_labels, check_sample_weight, encode, one_hot
from skrdia.curvature import Curvature
from skrdia.solvers import DIRECT_MAX, SOLVERS, Solution
from skrdia.views import Linearization, Options, View, as_view, soften
from skrdia.views._base import Array

__all__ = [
    "Influence",
    "check_rows",
    "diagnose",
    "influence",
    "linearize",
    "loss_gradients",
    "mean_loss",
    "softened",
    "solver_of",
    "training",
]


@dataclass(frozen=True)
class Influence:
    """Influence of every training row on the validation loss.

    Parameters
    ----------
    values : ndarray of shape (n_samples,)
        Influence of each row as labelled, in nats; positive means harmful.
    by_label : ndarray of shape (n_samples, n_classes)
        Influence each row would have with each label.
    log_proba : ndarray of shape (n_samples, n_classes)
        Log-probability of each label under the fitted model.
    classes : ndarray of shape (n_classes,)
        The labels, in column order.
    validation_loss : float
        Mean validation cross-entropy of the fitted model, in nats.
    diagnostics : dict
        How the linear solve went, see `RDIAClassifier.diagnostics_`.
    index : object
        The index of the frame the rows came in, or None.
    standard_error : ndarray of shape (n_samples,) or None
        Standard error of `values` over the validation rows, in nats, or None where it was not asked for.
    """

    values: Array
    by_label: Array
    log_proba: Array
    classes: NDArray[Any]
    validation_loss: float
    diagnostics: dict[str, Any]
    index: Any = None
    standard_error: Array | None = None

    def to_frame(self, backend: Any = "pandas") -> Any:
        """Return the influences as a data frame.

        Parameters
        ----------
        backend : {"pandas", "polars", "pyarrow", "modin", "cudf"}, default="pandas"
            The library of the frame, which must be installed.

        Returns
        -------
        frame : DataFrame
            A column `influence`, a column `standard_error` where it was asked for, and for each label a column
            `influence[label]`; the index of the training frame where it had one and the library has indices.
        """
        import narwhals as nw

        columns = {"influence": self.values}
        if self.standard_error is not None:
            columns["standard_error"] = self.standard_error
        columns |= {f"influence[{label}]": self.by_label[:, k] for k, label in enumerate(self.classes.tolist())}
        frame = nw.from_dict(columns, backend=backend).to_native()
        if self.index is not None and hasattr(frame, "index"):
            frame.index = self.index
        return frame


def influence(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    X_val: Any,
    y_val: ArrayLike,
    *,
    sample_weight: ArrayLike | None = None,
    hessian: str | Callable[..., Solution] = "newton-cg",
    random_state: Any = None,
    parameters: str | None = None,
    softening: float | None = None,
    damping: float | None = None,
    std: bool = False,
) -> Influence:
    """Influence of every training row, and of every label it could have, on the mean validation loss.

    Parameters
    ----------
    estimator : classifier
        Fitted on `X`, `y` and `sample_weight`. Any type that `RDIAClassifier` takes as `base_estimator`.
    X : {array-like, sparse matrix, data frame} of shape (n_samples, n_features)
        Training rows.
    y : array-like of shape (n_samples,)
        Training labels.
    X_val : {array-like, sparse matrix, data frame} of shape (n_val, n_features)
        Validation rows.
    y_val : array-like of shape (n_val,)
        Validation labels, correct ones.
    sample_weight : array-like of shape (n_samples,), default=None
        The weights the estimator was fitted with.
    hessian : {"newton-cg", "direct", "lissa", "ekfac", "identity"} or callable, default="newton-cg"
        How the inverse Hessian is applied, see `skrdia.solvers`.
    random_state : int, RandomState instance or None, default=None
        For "lissa".
    parameters : str, default=None
        For a net, the parameters whose influence is meant: "last", those of its last layer, also when None; "all"; or a
        pattern of their names, such as "layers.2.*".
    softening : float, default=None
        Factor on the logits before gradients and curvature are taken, see `RDIAClassifier`. None is 0.2 for nets and 1
        for other models.
    damping : float, default=None
        Added to the diagonal of the mean Hessian. None is a thousandth of the trace for nets and 0 for other models.
    std : bool, default=False
        Whether to compute the standard error of every influence as well: how far it would vary with other validation
        rows from the same source, the fitted estimator being given; nan if there is but one. It takes as many linear
        solves as there are validation rows or parameters, whichever are fewer, instead of one.

    Returns
    -------
    Influence

    Raises
    ------
    TypeError
        If the estimator's type is not supported.
    ValueError
        If an argument is malformed; the message names it.

    Warns
    -----
    ConvergenceWarning
        If the linear solve, or the estimator's own fit, is far from converged.

    See Also
    --------
    influence_matrix : The influence on each validation row separately.
    RDIAClassifier : Relabel the harmful rows and retrain.

    References
    ----------
    .. [1] Kong, Shen, Huang, "Resolving training biases via influence-based data relabeling", ICLR 2022, Eq. (6).

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skrdia import influence
    >>> X, y = [[-2.0], [-1.0], [1.0], [2.0]], ["a", "a", "b", "a"]  # the last label is wrong
    >>> model = LogisticRegression().fit(X, y)
    >>> result = influence(model, X, y, X_val=[[-1.5], [1.5]], y_val=["a", "b"])
    >>> int(result.values.argmax())
    3
    >>> X_val, y_val = [[-1.5], [-0.5], [1.0], [1.5], [2.0], [3.0]], ["a", "a", "b", "b", "b", "b"]
    >>> result = influence(model, X, y, X_val, y_val, std=True)
    >>> bool(result.values[3] > 2 * result.standard_error[3])
    True
    """
    view = as_view(estimator, Options(parameters, softening, damping))
    codes, targets = check_rows(view, X, y, sample_weight, "y")
    _, targets_val = check_rows(view, X_val, y_val, None, "y_val")
    args = view, X, targets, X_val, targets_val, hessian, random_state
    solved = solve_influence(*args, n_trained=len(codes))
    given = one_hot(codes, len(view.classes_))
    return Influence(
        values=solved.by_label[np.arange(len(codes)), codes],
        by_label=solved.by_label,
        log_proba=solved.log_proba,
        classes=view.classes_,
        validation_loss=solved.validation_loss,
        diagnostics=solved.diagnostics,
        index=getattr(X, "index", None) if hasattr(X, "columns") else None,
        standard_error=influence_standard_error(*args, given=given, n_trained=len(codes)) if std else None,
    )


_BLOCK_NUMBERS = 2**24
"""Numbers in the block of validation gradients that is solved for at once."""


def _blocks(n_rows: int, n_parameters: int) -> Iterator[slice]:
    """Large blocks where a solver may factorise the Hessian for each of them; else nothing is gained by them."""
    return gen_batches(n_rows, max(1, _BLOCK_NUMBERS // n_parameters) if n_parameters <= DIRECT_MAX else 1)


def loss_gradients(at: Any, targets: Array, rows: NDArray[np.intp]) -> Array:
    """Gradients of the losses of some rows, (len(rows), p)."""
    if hasattr(at, "gradients"):
        return -at.rows(rows).gradients(targets[rows])
    if hasattr(at, "rows"):
        return -np.stack([at.rows([j]).vjp(targets[[j]]) for j in rows])
    return -np.stack([at.vjp(targets * (np.arange(len(targets)) == j)[:, None]) for j in rows])


@dataclass(frozen=True)
class Solved:
    """What step II yields for the rows of one fit: attributes of `Influence`, and how Lv changes with the targets."""

    by_label: Array
    log_proba: Array
    loss_gradient: Array
    """d Lv / d Y_ik, (n, K), with the class weights of the estimator: c_k phi_ik / n."""
    validation_loss: float
    diagnostics: dict[str, Any]


def of_all_labels(by_label: Array, known: NDArray[np.bool_]) -> Array:
    """With columns (n, K) for the labels that a model was not trained on: none is better for a row than those known."""
    if known.all():
        return by_label
    values = np.repeat(by_label.max(axis=1, keepdims=True) + 1.0, len(known), axis=1)
    values[:, known] = by_label
    return values


def solve_influence(
    view: View,
    X: Any,
    targets: Array,
    X_val: Any,
    targets_val: Array,
    hessian: str | Callable[..., Solution],
    random_state: Any,
    n_trained: int = 0,
) -> Solved:
    """Step II for targets (n, K) and validation targets (n_val, K); `n_trained` rows were fitted, 0: all entries."""
    judges = linearize(view, X_val, "X_val")
    val = soften(judges, softening_of(view))
    rows = linearize(view, X, "X")
    train, H, gradient = training(view, rows, targets, n_trained or int(np.count_nonzero(targets)))
    solution, diagnostics = _solve(H, -val.vjp(targets_val / targets_val.sum()), gradient, hessian, random_state)
    by_label = train.jvp(solution)
    return Solved(
        by_label=by_label,
        log_proba=rows.log_proba,
        loss_gradient=by_label * view.class_weight(targets) / H.total,
        validation_loss=mean_loss(judges, targets_val),
        diagnostics=diagnostics,
    )


def influence_standard_error(
    view: View,
    X: Any,
    targets: Array,
    X_val: Any,
    targets_val: Array,
    hessian: str | Callable[..., Solution],
    random_state: Any,
    *,
    given: Array | None = None,
    n_trained: int = 0,
) -> Array:
    """Standard error (n,) over the validation rows of the influence of every row, in nats.

    The arguments are those of `solve_influence`. `given` (n, K) are the labels whose influence is meant, by default the
    targets; a row of zeros there has nan. So has every row where a single validation row has positive weight.
    """
    val, rows = softened(view, X_val, "X_val"), linearize(view, X, "X")
    train, H, _ = training(view, rows, targets, n_trained or int(np.count_nonzero(targets)))
    given = targets if given is None else given
    total = given.sum(axis=1, keepdims=True)
    labels = np.divide(given, total, out=np.full_like(given, np.nan), where=total > 0.0)
    judges = np.flatnonzero(targets_val.any(axis=1))
    squares = np.zeros(len(labels))
    for block in _blocks(len(judges), H.shape[0]):
        deviations = _gradient_deviations(val, targets_val, judges[block], H)
        if len(deviations) > 0:
            solutions, info = solver_of(hessian)(H, deviations.T, random_state=random_state)
            _warn_unless_converged(hessian, info)
            for s in solutions.T:
                squares += (labels * train.jvp(s)).sum(axis=1) ** 2
    return np.sqrt(squares * (len(judges) / (len(judges) - 1) if len(judges) > 1 else np.nan))


def _gradient_deviations(at: Linearization, targets: Array, rows: NDArray[np.intp], H: Curvature) -> Array:
    """w_j (grad l_j - grad Lv) / sum(w) for these rows, or at most p vectors with the same sum of outer products."""
    total = targets.sum()
    scale = np.sqrt(np.where(H.diagonal() > 0.0, H.diagonal(), 1.0))  # without it small units would count as rounding
    deviations = loss_gradients(at, targets, rows)
    deviations /= total * scale
    rounding = 1e-9 * np.linalg.norm(deviations)  # left out: not in the range of H, so that no solver would converge
    deviations += (targets[rows].sum(axis=1) / total)[:, None] * (at.vjp(targets) / (total * scale))
    if len(rows) > len(scale):
        _, sizes, directions = np.linalg.svd(np.linalg.qr(deviations, mode="r"))
        deviations = sizes[:, None] * directions
    kept: Array = deviations[np.linalg.norm(deviations, axis=1) > rounding]
    kept *= scale
    return kept


def validation_loss(estimator: Any, X_val: Any, targets_val: Array) -> float:
    """Mean validation cross-entropy of a fitted estimator, in nats."""
    return mean_loss(linearize(as_view(estimator), X_val, "X_val"), targets_val)


def mean_loss(at: Linearization, targets: Array) -> float:
    return -float((targets * at.log_proba).sum() / targets.sum())


def training(view: View, rows: Linearization, targets: Array, n_trained: int) -> tuple[Linearization, Curvature, Array]:
    """The softened training rows, the curvature of the mean objective, and its gradient (zero at the optimum)."""
    weighted = targets * view.class_weight(targets)
    train = soften(rows, softening_of(view))
    H = Curvature(train, weighted.sum(axis=1), view.penalty(n_trained), getattr(view, "damping", 0.0))
    return train, H, (view.penalty_gradient(n_trained) - rows.vjp(weighted)) / H.total


def softened(view: View, X: Any, name: str) -> Linearization:
    """Rows at the softened model, where gradients and curvature are taken."""
    return soften(linearize(view, X, name), softening_of(view))


def softening_of(view: View) -> float:
    return getattr(view, "softening", 1.0)


def _solve(
    H: Curvature, g: Array, gradient: Array, hessian: str | Callable[..., Solution], random_state: Any
) -> tuple[Array, dict[str, Any]]:
    solution, info = solver_of(hessian)(H, g, random_state=random_state)
    return solution, diagnose(H, hessian, info, gradient)


def diagnose(
    H: Curvature, hessian: str | Callable[..., Solution], info: dict[str, Any], gradient: Array
) -> dict[str, Any]:
    """What is known of a solve, with a warning where that is bad."""
    diagonal = H.diagonal()
    curved = diagonal > 0.0
    diagnostics = {
        "hessian": hessian,
        **info,
        "n_products": H.n_products,
        "damping": H.damping,
        "smallest_curvature": H.smallest,
        "largest_curvature": H.largest,
        "gradient_norm": float(np.abs(gradient).max(initial=0.0)),
        "scaled_gradient_norm": float(np.sqrt((gradient[curved] ** 2 / diagonal[curved]).sum())),
    }
    _warn(diagnostics)
    return diagnostics


def solver_of(hessian: str | Callable[..., Solution]) -> Callable[..., Solution]:
    if isinstance(hessian, str) and hessian not in SOLVERS:
        raise ValueError(f"hessian={hessian!r} is unknown; use one of {sorted(SOLVERS)}, or a callable.")
    return SOLVERS[hessian] if isinstance(hessian, str) else hessian


# Above this the rank correlation of the influences with those at the optimum falls below 0.9, see
# test_influences_are_reliable_below_the_threshold_of_the_warning.
FAR_FROM_OPTIMUM = 0.1


def _warn(diagnostics: dict[str, Any]) -> None:
    _warn_unless_converged(diagnostics["hessian"], diagnostics)
    if diagnostics["damping"] == 0.0 and diagnostics["scaled_gradient_norm"] > FAR_FROM_OPTIMUM:
        warnings.warn(
            "The base estimator is far from its optimum (scaled gradient norm "
            f"{diagnostics['scaled_gradient_norm']:.2g}, reliable below {FAR_FROM_OPTIMUM}), which makes influences "
            "unreliable. Scale the columns, or give the base estimator a smaller tol and a larger max_iter.",
            ConvergenceWarning,
            stacklevel=4,
        )


def _warn_unless_converged(hessian: str | Callable[..., Solution], info: dict[str, Any]) -> None:
    if not info["converged"]:
        warnings.warn(
            f"hessian={hessian!r} did not converge: relative residual {info['residual']:.1e} after "
            f"{info['iterations']} iterations. Scale the columns, regularise the base estimator more strongly, or use "
            "hessian='direct' where the number of parameters allows.",
            ConvergenceWarning,
            stacklevel=4,
        )


def linearize(view: View, X: Any, name: str) -> Linearization:
    try:
        return view.linearize(X)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name}: {error}") from error


def check_rows(
    view: View, X: Any, y: ArrayLike, sample_weight: ArrayLike | None, name: str
) -> tuple[NDArray[np.intp], Array]:
    """Label codes (n,) and targets (n, K)."""
    labels = check_labels(y, name)
    check_consistent_length(X, labels)
    codes = encode(labels, view.classes_, name)
    return codes, one_hot(codes, len(view.classes_), check_sample_weight(sample_weight, len(codes)))
