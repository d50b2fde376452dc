"""What stands for the RP2040 in MicroPython: `machine` and `neopixel` by their real names. Never imported by CPython.

They hold no history: each pin, pixel and tone goes down a pipe with its time, so a capped heap is the firmware's own.
"""
