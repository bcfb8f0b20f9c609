"""How often Python looks for garbage that reference counting does not find."""

import gc

_YOUNG_OBJECTS = 500_000


def collect_garbage_rarely() -> None:
    """Let a batch's objects live and die without being looked at.

    A batch makes hundreds of thousands of objects, none of them in a circle, and by default Python
    goes through the young ones after every 700: a third of the CPU time of a busy reader. What is
    there at the start stays, so it is never looked at again.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS, 20, 50)
