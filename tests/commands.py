"""The installed command, and what came of running it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

COMMAND = Path(sys.executable).parent / "restorepoints"
PASSWORD = "simulated-password"


@dataclass(frozen=True)
class Outcome:
    """What came of a command."""

    status: int
    stdout: str
    stderr: str

    @property
    def objects(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.stdout.splitlines()]

    @property
    def sentence(self) -> str:
        """What was said, without the line that names the warehouse."""
        lines = [line for line in (self.stdout + self.stderr).splitlines() if not line.startswith("warehouse: ")]
        return "\n".join(lines)


Command = Callable[..., Outcome]
