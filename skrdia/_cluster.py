"""`RDIAClassifier.fit` on the rows of a Dask cluster: steps I to IV, with every array of n rows on the workers.

The formulas are those of the other modules: views, curvature, solvers, signals and strategies work on Dask arrays, or
on the rows of one block at a time. What has to be done to all rows at once is done differently here:

* Validation rows are not taken out of X; they have zero weight in training. Held-out rows are drawn at random in every
  block, with the seed and the number of the block, not stratified over all rows.
* With ``alpha="auto"`` the candidates are judged on rows drawn at random, up to 20,000 trusted and 20,000 other ones,
  in the memory of the client, whose folds `joblib` may send to the cluster. Those that are chosen are then computed for
  all rows, with out-of-fold models and noise models of all rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import dask.array as da
import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.utils import check_random_state

from skrdia._dask_blocks import DaskBlocks, checked_weight, labels_of
from skrdia._influence import Solved, solve_influence
from skrdia._noise_model import apply_channel, label_channel
from skrdia._outcome import signal_name
from skrdia._progress import tell
from skrdia._repair import propose
from skrdia._train import safe_log
from skrdia._tuning import Candidate, Choice, Problem, candidates, choose, detectors_to_try
from skrdia._validation import check_labels, encode, is_sparse, one_hot
from skrdia.linear_model import LogisticRegression
from skrdia.signals import SIGNALS
from skrdia.strategies import STRATEGIES
from skrdia.views import as_view
from skrdia.views._base import Array, Options
