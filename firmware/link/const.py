"""`const` for CPython and for checkers. MicroPython's compiler knows the word by itself and folds what it marks."""


def const(value: int) -> int:
    """The value."""
    return value
