"""What stands for a board with MicroPython on it and a file system of its own. Never imported by CPython."""
