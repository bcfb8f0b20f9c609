"""Whether a trigger really fires, where that depends on what was known of the contact."""

from libs.contracts.step_commands import FlowStart, Observe
from libs.domain.contact import ContactSnapshot
from libs.domain.matching import trigger_of
from services.step_executor.use_cases.unit_of_work import UnitOfWork


def known_before(unit: UnitOfWork, command: Observe) -> ContactSnapshot | None:
    """Give what is known of an event's contact before the event is taken in, be it nothing.

    None for a later piece of what was told of an event: the first one has been taken in by now.
    """
    if command.piece:
        return None
    return unit.known_contact(command.contact_key) or ContactSnapshot(command.contact_id)


def really_fires(
    unit: UnitOfWork, command: Observe, start: FlowStart, known: ContactSnapshot | None
) -> bool:
    """Ask the trigger that matched, with what was known before the event.

    What cannot be asked any more is taken to fire, as the matcher said: a trigger that an edit took
    away meanwhile, a start in a later piece.
    """
    flow = unit.flows.get(start.flow_id)
    if known is None or flow is None:
        return True
    trigger = trigger_of(flow, start.trigger_id)
    if trigger is None or not trigger.judges_facts:
        return True
    if getattr(trigger, "type", None) != start.trigger_type:
        return True
    return trigger.fires(known, command.event.change)
