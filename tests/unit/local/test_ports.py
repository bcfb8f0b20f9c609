import socket

from libs.local.ports import HOST, free_port


def test_the_usual_port_is_taken_if_nobody_has_it() -> None:
    usual = free_port()
    assert free_port(usual) == usual


def test_another_port_is_taken_if_somebody_listens_on_the_usual_one() -> None:
    with socket.create_server((HOST, 0)) as taken:
        usual = taken.getsockname()[1]
        chosen = free_port(usual)
    assert chosen != usual
    assert chosen < 32768, "systems give higher ports to outgoing connections"
