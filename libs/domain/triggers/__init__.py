"""One file per trigger type: its model and what it matches. None knows another.

`libs/domain/trigger.py` holds what they share. A new type is a file here and a line in the union of
`libs/domain/flow.py`.
"""
