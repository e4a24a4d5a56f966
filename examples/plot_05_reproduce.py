"""
Reproduce a figure of the paper
===============================

``skrdia reproduce figure2`` measures what each method makes of flipped training labels, on the paper's splits and with
its logistic regression, and puts our own beside them. Here on the one data set that comes with the package, with two
runs of each share of flipped labels; with more data in `SKRDIA_DATA`, leave the options out.
"""

# %%
# From a shell: ``skrdia reproduce figure2 --datasets breast-cancer --seeds 2 --noise 0,0.3,0.6``. A second call in the
# same folder measures nothing again.

from pathlib import Path
from tempfile import TemporaryDirectory

import matplotlib.pyplot as plt
import pandas as pd

from skrdia.cli import main

with TemporaryDirectory() as folder:
    options = ["--datasets", "breast-cancer", "--seeds", "2", "--noise", "0,0.3,0.6", "--output", folder]
    main(["reproduce", "figure2", *options], standalone_mode=False)
    figures = pd.read_csv(Path(folder) / "figure2.csv")
    picture = plt.imread(Path(folder) / "figure2.png")

plt.figure(figsize=(8, 5), layout="constrained")
plt.imshow(picture)
plt.axis("off")
plt.show()

# %%
# The same as a tidy table: a line for each figure.

print(figures.pivot(index="method", columns="noise", values="ours").round(4))
