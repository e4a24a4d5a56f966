"""What a fit found, did and was worth, as sentences and tables, on a page that a person acts on.

`summarise` gathers it from the fitted attributes, as numbers and plain text; `RDIAClassifier.report` writes it as one
HTML file, and a notebook shows the first lines of it.
"""

from skrdia.report._summary import summarise

__all__ = ["summarise"]
