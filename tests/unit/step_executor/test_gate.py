"""The gate: so many at once, in turn; who waits can be turned away."""

import asyncio

from services.step_executor.deliveries.gate import Gate


async def waiting(gate: Gate, lane: str = "") -> "asyncio.Task[bool]":
    task = asyncio.create_task(gate.enter(lane))
    await asyncio.wait({task}, timeout=0)
    return task


async def test_so_many_enter_and_the_next_when_one_leaves_in_turn() -> None:
    gate = Gate(2)
    assert [await gate.enter(""), await gate.enter("")] == [True, True]
    third, fourth = await waiting(gate), await waiting(gate)
    assert not third.done()
    gate.leave()
    assert await third
    assert not fourth.done()
    gate.leave()
    assert await fourth


async def test_who_is_turned_away_takes_no_place() -> None:
    gate = Gate(1)
    await gate.enter("")
    away = await waiting(gate)
    gate.turn_away()
    assert await away is False
    gate.leave()
    assert await gate.enter("")


async def test_who_stops_waiting_is_passed_over() -> None:
    gate = Gate(1)
    await gate.enter("")
    gone, behind = await waiting(gate), await waiting(gate)
    gone.cancel()
    await asyncio.wait({gone})
    gate.leave()
    assert await behind


async def test_many_of_one_lane_delay_those_of_another_by_one() -> None:
    gate = Gate(1)
    await gate.enter("many")
    many = [await waiting(gate, "many") for _ in range(3)]
    few = await waiting(gate, "few")
    order = []
    for _ in range(4):
        gate.leave()
        await asyncio.wait([one for one in (*many, few) if not one.done()], timeout=0)
        order.append([one.done() for one in (*many, few)].count(True))
        assert few.done() == (len(order) > 1), "it comes second"
    assert order == [1, 2, 3, 4]
