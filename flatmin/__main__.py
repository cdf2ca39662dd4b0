"""``python -m flatmin``."""

from flatmin.cli import main

main()
