"""How a simulated appliance behaves where there is a choice."""

from __future__ import annotations

from dataclasses import dataclass

from etl.simulator.errors import SimulatorError
from etl.simulator.order import ORDERS
from etl.simulator.versions import VERSIONS, product


@dataclass(frozen=True, slots=True)
class Behaviour:
    """How one appliance behaves where the product, its settings or the vendor's silence leave a choice.

    version: the newest API version; the product with it serves also some before it.
    serves: the versions served, in place of that product's.
    page_cap: the largest page served (None: no maximum). tells_total: False makes every `totalCount` null.
    unserved: status for a version that is not served, 404 or 400. refusal: of a refused sign-in, 400 or 401.
    forbidden: paths below the version, such as `/system/serverInfo`, that the role may not read (403).
    expires_in, refresh_expires_in: lives of tokens in real seconds.
    order: how pages list what there is: by `id` (given items as given); `newest` first; `slots`, a new row in a
    deleted one's place; `moving`, rows that change place, `moves` on average before each page; `none`, another order
    for each page. order_seed: of what is left to chance in it.
    """

    version: str = "v8.1"
    serves: tuple[str, ...] | None = None
    username: str = "reporter"
    password: str = "simulated-password"  # noqa: S105 - the simulator's own, public
    mfa: bool = False
    role: str = "PortalAdmin"
    expires_in: float = 3600
    refresh_expires_in: float = 14 * 24 * 3600
    page_cap: int | None = None
    tells_total: bool = True
    unserved: int = 404
    refusal: int = 401
    forbidden: tuple[str, ...] = ()
    order: str = "id"
    order_seed: int = 1
    moves: float = 1.0

    def __post_init__(self) -> None:
        product(self.version)
        unknown = set(self.serves or ()) - set(VERSIONS)
        if unknown:
            raise SimulatorError(f"No API version {', '.join(sorted(unknown))}.")
        if self.page_cap is not None and self.page_cap < 1:
            raise SimulatorError("A page holds at least one item: page_cap must be 1 or more.")
        if self.order not in ORDERS:
            raise SimulatorError(f"No order {self.order!r}: there are {', '.join(ORDERS)}.")
        if self.moves < 0:
            raise SimulatorError("moves is a number of rows: 0 or more.")
        if self.unserved not in (400, 404) or self.refusal not in (400, 401):
            raise SimulatorError("unserved is 400 or 404, refusal is 400 or 401.")


DEFAULT = Behaviour()
"""An appliance of the newest product with nothing out of the ordinary."""
