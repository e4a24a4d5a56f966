"""``python -m skrdia`` is the command ``skrdia``."""

from skrdia.cli import main

main()
