"""Who keeps the agents alive: specs, the supervisor, placements, registry and fallback routes."""

from supervision.actor import STARTING, STOPPING, LightActor
from supervision.cell import Cell
from supervision.clock import VirtualClock, monotonic_clock
from supervision.errors import Exit, IgnoreStart, SpecError, StartError, SupervisionError
from supervision.messages import Call, CallResult, Down, Report, StartChild, is_clean
from supervision.ref import Ref, Timer
from supervision.registry import Registry, Route
from supervision.specs import ChildSpec, Start, SupervisorFlags
from supervision.supervisor import Supervisor

__all__ = [
    "STARTING",
    "STOPPING",
    "Call",
    "CallResult",
    "Cell",
    "ChildSpec",
    "Down",
    "Exit",
    "IgnoreStart",
    "LightActor",
    "Ref",
    "Registry",
    "Report",
    "Route",
    "SpecError",
    "Start",
    "StartChild",
    "StartError",
    "SupervisionError",
    "Supervisor",
    "SupervisorFlags",
    "Timer",
    "VirtualClock",
    "is_clean",
    "monotonic_clock",
]
