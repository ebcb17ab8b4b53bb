"""Which policies an estate has, what they are called, which are removed, and where they store."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any

from etl.simulator.chance import Chance
from etl.simulator.fleet import Policy
from etl.simulator.sessions import PolicyNamed
from etl.simulator.workloads import WORKLOADS

TIERS = ("Hot", "Cool", "Cold", "Archive")


@dataclass(frozen=True, slots=True)
class Repository:
    """Where backups of one access tier lie."""

    id: str
    name: str
    tier: str


class Rules:
    """The policies of an estate, schedule-based ones with their machines, SLA-based ones (`sla_policies`) without.

    `removed` has the policies that are no more, each with the day at whose beginning its snapshots go. `overrides` has
    JSON fields by a policy's name that are served in place of the true ones.
    """

    def __init__(self, policies: Iterable[Policy], chance: Chance, sla_policies: int) -> None:
        self.policies = list(policies)
        self.removed: dict[Policy, date] = {}
        self.overrides: dict[str, dict[str, Any]] = {}
        self.sla = [self._sla(number, chance) for number in range(sla_policies)]
        self._chance = chance

    def of(self, workload: str) -> list[Policy]:
        """Return the living policies of a workload."""
        return [policy for policy in self.policies if policy.workload == workload and policy not in self.removed]

    def named(self, name: str) -> Policy:
        """Return the living policy of a name; raises `KeyError`."""
        for policy in self.policies:
            if policy.name == name and policy not in self.removed:
                return policy
        raise KeyError(name)

    def are_obsolete(self, policy: Policy, day: date) -> bool:
        """Whether the snapshots of a removed policy have to go as a day begins."""
        return policy in self.removed and self.removed[policy] <= day

    def id(self, policy: Policy) -> str:
        """Return a policy's UUID."""
        return self._chance.uuid("policy", policy.name)

    def told(self, policy: Policy) -> PolicyNamed:
        """Return a policy as a session tells it."""
        return PolicyNamed(self.id(policy), policy.name, WORKLOADS[policy.workload].policy_type, policy in self.removed)

    def repository(self, tier: str) -> Repository:
        """Return the repository of an access tier."""
        return Repository(self._chance.uuid("repository", tier), f"backup-{tier.lower()}", tier)

    def tiers(self) -> set[str]:
        """Return the access tiers that the policies store in, removed ones too."""
        tiers = {policy.access_tier for policy in self.policies if policy.backup_hour is not None}
        return tiers | ({"Archive"} if any(policy.archives for policy in self.policies) else set())

    def _sla(self, number: int, chance: Chance) -> dict[str, str]:
        """Return name, id and template of an SLA-based policy; all of them share one template of two."""
        template = number % 2
        return {
            "id": chance.uuid("sla policy", number),
            "name": f"SLA {number + 1}",
            "template_id": chance.uuid("sla template", template),
            "template_name": ("Gold", "Silver")[template],
        }
