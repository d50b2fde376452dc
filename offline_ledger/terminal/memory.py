"""Memory that was needed for loading alone goes back to the system: a validator's board has little. DESIGN §10."""


def give_back() -> None:
    """What the C library keeps free for later: 2 MB once a validator has loaded all its devices. Takes half a
    millisecond; a system with another C library than glibc keeps it."""
    import ctypes

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
