"""Every fault by the name that campaigns and the command line use."""

from collections.abc import Callable

from maul.core.clock import Clock
from maul.faults.fault import Fault, Target
from maul.faults.process_kill import ProcessKill
from maul.faults.process_pause import ProcessPause
from maul.hosts.host import Host

FaultMaker = Callable[[Target, Host, Clock], Fault]

FAULTS: dict[str, FaultMaker] = {
    ProcessKill.name: ProcessKill,
    ProcessPause.name: ProcessPause,
}
