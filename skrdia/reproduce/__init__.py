"""How much a repair recovers, measured on real tables: the figures behind ``skrdia reproduce``."""

__all__: list[str] = []
