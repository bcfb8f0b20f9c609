"""One file per step type: its model and how it answers. None knows another.

`step.py` holds what they share. A new type is a file here and a line in `libs.domain.flow`.
"""
