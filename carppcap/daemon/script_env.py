"""The environment of a script, which tells the script why it is run.

CARPPCAP_INTERFACE       eth0
CARPPCAP_VHID            7
CARPPCAP_ADDRESSES       10.1.1.252/24 fd00::252, with the prefixes that were given
CARPPCAP_STATE           the new state: MASTER, BACKUP or INIT
CARPPCAP_PREVIOUS_STATE  the old state
CARPPCAP_CAUSE           a value of `Cause`, or address_lost, or rival
CARPPCAP_RIVAL_MAC       after rival only: 02:00:00:00:00:09
CARPPCAP_RIVAL_ADDRESS   after rival only: 10.1.1.252, the address that it claims
"""

from carppcap.election.actions import Cause, RivalAnswered, State
from carppcap.election.config import VirtualHostConfig
from carppcap.election.events import AddressesLost, StepDown
from carppcap.node.groups import Step


def group_env(config: VirtualHostConfig, interface: str) -> dict[str, str]:
    """Return the variables that all scripts of a group get."""
    return {
        "CARPPCAP_INTERFACE": interface,
        "CARPPCAP_VHID": str(config.vhid),
        "CARPPCAP_ADDRESSES": " ".join(config.networks),
    }


def step_env(step: Step) -> dict[str, str]:
    """Return the variables for a script that is run because of `step`."""
    change = step.change
    if change is not None:
        return _change_env(change.old, change.new, change.cause.value)
    if isinstance(step.event, AddressesLost):
        return RETAKE_ENV
    # A master that leaves changes its state only after its down script.
    if isinstance(step.event, StepDown):
        return _change_env(State.MASTER, State.BACKUP, Cause.STEP_DOWN.value)
    return SHUTDOWN_ENV


def rival_env(rival: RivalAnswered) -> dict[str, str]:
    """Return the variables of a script that is run because of `rival`."""
    return _change_env(State.MASTER, State.MASTER, "rival") | {
        "CARPPCAP_RIVAL_MAC": rival.mac.hex(":"),
        "CARPPCAP_RIVAL_ADDRESS": str(rival.address),
    }


def _change_env(old: State, new: State, cause: str) -> dict[str, str]:
    return {
        "CARPPCAP_STATE": new.value,
        "CARPPCAP_PREVIOUS_STATE": old.value,
        "CARPPCAP_CAUSE": cause,
    }


SHUTDOWN_ENV = _change_env(State.MASTER, State.INIT, Cause.SHUTDOWN.value)
"""The variables of the down script of a master that leaves."""

RETAKE_ENV = _change_env(State.MASTER, State.MASTER, "address_lost")
"""The variables of the scripts with which a master takes its addresses again, or drops
them in order to take them again.  The state does not change."""
