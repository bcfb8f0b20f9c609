"""One file per step type: its model and how it answers. None knows another.

`libs/domain/step.py` holds what they share. A new type is a file here and a line in the union of
`libs/domain/flow.py`.
"""
