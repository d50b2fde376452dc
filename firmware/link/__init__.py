"""The cable format between terminal and reader head: one source that runs unchanged in CPython and MicroPython.

`docs/head.md` is its description for whoever builds another head. DESIGN §3.
"""
