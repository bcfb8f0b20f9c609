"""What must be read of a contact's activity before a walk: what its rules may ask on their way."""

from collections.abc import Iterable, Iterator, Mapping

from libs.domain.activity import ActivityKind, ActivityNeed
from libs.domain.predicates import kind_of, need_of
from libs.domain.rules import Activity, AnyRule, Segments, nodes_through
from libs.domain.step import Step


def asked_by(
    rules: Iterable[AnyRule], segments: Segments
) -> Iterator[tuple[ActivityKind, ActivityNeed]]:
    """Give what each condition of some rules needs, and of the dynamic lists they ask about."""
    for rule in rules:
        for node in nodes_through(rule, segments):
            if isinstance(node, Activity):
                yield kind_of(node), need_of(node)


def on_the_way(
    start: str | None, steps: Mapping[str, Step], *, to_the_end: bool
) -> Iterator[AnyRule]:
    """Give the rules of all steps that a walk from a step may come to.

    Args:
        start: The step it begins with, whether it stood there or comes there.
        steps: All steps by id.
        to_the_end: Whether those count, too, that come after a rest on the way: what many walks
            one after another may come to.
    """
    todo, seen = [start], set[str]()
    while todo:
        step = steps.get(todo.pop() or "")
        if step is None or step.step_id in seen:
            continue
        seen.add(step.step_id)
        if (rule := step.rule()) is not None:
            yield rule
        if to_the_end or step.step_id == start or not _rests(step):
            todo += step.edges.values()


def _rests(step: Step) -> bool:
    """Say whether nearly all who come to a step rest there; for who does not, more is read then."""
    return step.takes_time or step.sends_email or step.awaits_answer
