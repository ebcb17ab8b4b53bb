"""Every error that a user can meet; an error's docstring is its default message.

RestorepointsError
├── UsageError                    exit 2: wrong usage or configuration
│   ├── ConfigError
│   └── SecretError
└── RunError                      exit 1: the run of one appliance failed
    ├── ApplianceError
    │   ├── Unreachable
    │   ├── UntrustedCertificate
    │   ├── NotAnAppliance
    │   ├── SignInRefused
    │   ├── MfaRequired
    │   ├── Forbidden
    │   ├── NotServed
    │   ├── BadRequest
    │   ├── NotAPage
    │   ├── NoProgress
    │   ├── AnotherAppliance
    │   └── RetriesExhausted
    └── WarehouseError
        ├── SchemaBehind
        ├── SchemaAhead
        ├── AlreadyRunning
        ├── LockLost
        └── PooledConnection
"""

from __future__ import annotations

from typing import ClassVar


class RestorepointsError(Exception):
    """Something went wrong."""

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or type(self).__doc__)


class UsageError(RestorepointsError):
    """The command was not used as it is meant."""

    exit_code = 2


class ConfigError(UsageError):
    """The configuration cannot be used."""


class SecretError(UsageError):
    """A secret cannot be read."""


class RunError(RestorepointsError):
    """The run failed."""


class ApplianceError(RunError):
    """The appliance did not do what it should."""


class Unreachable(ApplianceError):
    """The appliance cannot be reached."""


class UntrustedCertificate(ApplianceError):
    """The appliance's TLS certificate is not trusted."""


class NotAnAppliance(ApplianceError):
    """No sign-in of Veeam Backup for Microsoft Azure answers there; port 443 and no path are expected."""


class SignInRefused(ApplianceError):
    """The appliance refused the user name or the password."""


class MfaRequired(ApplianceError):
    """The account asks for a one-time code, which an unattended run cannot give; use one without MFA."""


class Forbidden(ApplianceError):
    """The account's role or the licence forbids reading this."""


class NotServed(ApplianceError):
    """The appliance does not serve this API version or collection."""


class BadRequest(ApplianceError):
    """The appliance takes the request for a wrong one."""


class NotAPage(ApplianceError):
    """The answer is no page of a collection."""


class NoProgress(ApplianceError):
    """The appliance answers, but its pages do not move on."""


class AnotherAppliance(ApplianceError):
    """Another appliance answers here than the one that the warehouse knows by this name."""


class RetriesExhausted(ApplianceError):
    """The appliance kept failing until the time for retries was used up."""


class WarehouseError(RunError):
    """The warehouse cannot be used."""


class SchemaBehind(WarehouseError):
    """The warehouse's schema is older than this program; `restorepoints db upgrade` brings it up."""


class SchemaAhead(WarehouseError):
    """The warehouse's schema is newer than this program; install the newer program."""


class AlreadyRunning(WarehouseError):
    """Another run of this appliance is under way."""


class LockLost(WarehouseError):
    """The lock of this run did not hold."""


class PooledConnection(WarehouseError):
    """The warehouse is reached through a pooler in transaction mode, where no lock holds."""
