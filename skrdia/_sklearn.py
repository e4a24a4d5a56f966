"""The only module that imports private scikit-learn, or hides a difference between its versions."""

from sklearn.base import _fit_context
from sklearn.utils import _safe_indexing
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.parallel import _get_threadpool_controller
from sklearn.utils.validation import _num_samples

__all__ = [
    "HasMethods",
    "Interval",
    "StrOptions",
    "_fit_context",
    "_get_threadpool_controller",
    "_num_samples",
    "_openmp_effective_n_threads",
    "_safe_indexing",
]
