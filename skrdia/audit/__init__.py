"""`skrdia audit`: a table in a file, its labels repaired, with a report, a ledger and a model."""

__all__: list[str] = []
