"""What the executor is told of an event fits the topic it travels in."""

from uuid import UUID

from libs.contracts.contact_events import ContactCreated, ContactEvent, Fields
from libs.contracts.step_commands import FlowStart
from services.trigger_matcher.use_cases.observe_commands import (
    LARGEST,
    MOST_STARTS,
    observe_commands,
)
from tests.support.builders import CONTACT, NOW, WORKSPACE

KEY = UUID(int=9)


def an_event(size: int = 0) -> ContactEvent:
    return ContactCreated(
        id="e",
        source="/crm",
        subject=CONTACT,
        time=NOW,
        workspaceid=WORKSPACE,
        data=Fields(fields={"note": "x" * size}),
    )


def starts(number: int) -> list[FlowStart]:
    return [
        FlowStart(flow_id=UUID(int=one), min_flow_version=1, trigger_type="contact_created")
        for one in range(number)
    ]


def test_an_event_is_one_command_with_the_flows_it_starts_in_order() -> None:
    for number in (0, 1, MOST_STARTS):
        (command,) = observe_commands(KEY, an_event(), starts(number))
        assert (command.id, command.piece, command.contact_id) == (KEY, 0, CONTACT)
        assert command.starts == starts(number)


def test_r1_many_starts_go_out_in_numbered_pieces_of_their_own_ids() -> None:
    pieces = observe_commands(KEY, an_event(600_000), starts(10_000))
    assert [piece.piece for piece in pieces] == list(range(10))
    assert len({piece.id for piece in pieces}) == 10
    assert [start for piece in pieces for start in piece.starts] == starts(10_000)
    assert all(len(piece.body()) <= LARGEST for piece in pieces)
    assert all(piece.event == an_event(600_000) for piece in pieces)
    assert [piece.id for piece in pieces] == [
        piece.id for piece in observe_commands(KEY, an_event(600_000), starts(10_000))
    ]


def test_r1_a_piece_that_would_be_too_large_is_split_until_it_fits() -> None:
    alone = len(observe_commands(KEY, an_event(), [])[0].body())
    event = an_event(LARGEST - alone - 20_000)
    pieces = observe_commands(KEY, event, starts(MOST_STARTS))
    assert len(pieces) > 2
    assert all(len(piece.body()) <= LARGEST for piece in pieces)
    assert [start for piece in pieces for start in piece.starts] == starts(MOST_STARTS)
