"""A simulated appliance on a real socket, for tests, demonstrations and trying things out."""

from etl.simulator.appliance import AskedRequest
from etl.simulator.behaviour import Behaviour
from etl.simulator.clock import Clock
from etl.simulator.errors import SimulatorError
from etl.simulator.estate import Estate
from etl.simulator.points import Machine, Resource, RestorePoint
from etl.simulator.server import SimulatedAppliance, serve, simulate
from etl.simulator.sessions import JobSession
from etl.simulator.tokens import MFA_CODE
from etl.simulator.versions import VERSIONS

__all__ = [
    "MFA_CODE",
    "VERSIONS",
    "AskedRequest",
    "Behaviour",
    "Clock",
    "Estate",
    "JobSession",
    "Machine",
    "Resource",
    "RestorePoint",
    "SimulatedAppliance",
    "SimulatorError",
    "serve",
    "simulate",
]
