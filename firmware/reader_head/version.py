"""The firmware's own version, as HELLO and STATUS say it. The protocol's versions are in `firmware/link`. DESIGN §3."""

VERSION = (0, 2, 0)
