"""What can be wrong with the wish for a simulated appliance."""

from __future__ import annotations


class SimulatorError(ValueError):
    """The appliance cannot be simulated as asked."""
