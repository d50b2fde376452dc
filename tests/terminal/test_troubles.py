"""Troubles by name: told once when they come, once when they are over, and all of them when asked."""

from offline_ledger.errors import KeyFileUnsafe, KeyLost, Refusal, SettingsLost
from offline_ledger.terminal.troubles import Troubles


def test_each_is_told_once_and_once_more_when_it_changes() -> None:
    told: list[tuple[str, str]] = []
    troubles = Troubles(lambda what, refusal: told.append((what, refusal.key)), lambda what: told.append((what, "")))
    steps: list[tuple[str, Refusal | None]] = [
        ("key", None), ("key", KeyLost("a")), ("key", KeyLost("b")), ("settings", SettingsLost()),
        ("key", KeyFileUnsafe()), ("settings", None), ("settings", None), ("key", None), ("key", KeyLost()),
    ]  # fmt: skip
    for what, refusal in steps:
        troubles.note(what, refusal)
    assert told == [
        ("key", "key_lost"), ("settings", "settings_lost"), ("key", "key_file_unsafe"), ("settings", ""),
        ("key", ""), ("key", "key_lost"),
    ]  # fmt: skip
    assert [(what, refusal.key) for what, refusal in troubles.standing()] == [("key", "key_lost")]
