"""The reader head's firmware in the real MicroPython, and the format of its cable."""
