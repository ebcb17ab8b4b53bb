"""Files that travel with the program: migrations and SQL."""

from __future__ import annotations

from pathlib import Path


def folder(name: str) -> Path:
    """The folder `migrations` or `sql`: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parent
    inside = package / name
    return inside if inside.is_dir() else package.parent / name
