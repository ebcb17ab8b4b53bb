"""The simulated clock: the only time that an estate knows, standing still until it is moved on."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from etl.simulator.errors import SimulatorError

DEFAULT_NOW = datetime(2025, 3, 31, 10, 0, tzinfo=UTC)
"""Where a clock stands unless told otherwise; fixed, so that the same seed gives the same estate for ever."""


class Clock:
    """The appliance's clock.

    `zone` is the appliance's own time zone, in which its schedules and its midnight lie. What has to happen
    between two positions is the business of `on_advance(before, after)`.
    """

    def __init__(
        self,
        now: datetime = DEFAULT_NOW,
        time_zone: str = "UTC",
        on_advance: Callable[[datetime, datetime], None] | None = None,
    ) -> None:
        if now.tzinfo is None:
            raise SimulatorError("A simulated clock needs a time with a time zone.")
        try:
            self.zone = ZoneInfo(time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise SimulatorError(f"No time zone {time_zone!r}; use an IANA name such as Europe/Berlin.") from None
        self.time_zone = time_zone
        self._now = now.astimezone(UTC)
        self.on_advance = on_advance

    @property
    def now(self) -> datetime:
        """The simulated instant, in UTC."""
        return self._now

    @property
    def today(self) -> date:
        """The appliance's own date."""
        return self._now.astimezone(self.zone).date()

    def advance(self, *, days: float = 0, hours: float = 0, minutes: float = 0) -> datetime:
        """Move on, let everything due in between happen, and return the new instant; never backwards."""
        try:
            after = self._now + timedelta(days=days, hours=hours, minutes=minutes)
        except (OverflowError, ValueError):
            raise SimulatorError("A simulated clock cannot be moved that far.") from None
        if after < self._now:
            raise SimulatorError("A simulated clock moves forwards only.")
        before, self._now = self._now, after
        if self.on_advance is not None:
            self.on_advance(before, after)
        return after
