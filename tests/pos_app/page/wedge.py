"""A scanner that types into a real browser: keys that bear the times at which it struck them, as a kernel's do.

`page.keyboard` stamps a key when it comes to the browser, so a busy machine would tear a burst apart that no real
scanner tears. The stamps are the scanner's; how the keys go through the page is the browser's own.
"""

import time

from playwright.sync_api import CDPSession, Page

KEY_S = 0.004
PRESSED_S = 0.001
STALLED_S = 0.2
"""Well below what the page waits for a scanner's next key (keys.js, END_MS)."""
ENTER = {"key": "Enter", "code": "Enter", "text": "\r", "windowsVirtualKeyCode": 13}


def type_code(page: Page, code: str, *, ends: bool = True) -> bool:
    """The keys of a code, and Enter if it `ends`. False: this machine stood still between two of them."""
    keys = [_key(char) for char in code] + ([ENTER] if ends else [])
    devtools = page.context.new_cdp_session(page)
    struck_s, sent_s, longest_s = time.time(), time.monotonic(), 0.0
    for number, key in enumerate(keys):
        _press(devtools, key, struck_s + number * KEY_S)
        longest_s, sent_s = max(longest_s, time.monotonic() - sent_s), time.monotonic()
    devtools.detach()
    return longest_s < STALLED_S


def _press(devtools: CDPSession, key: dict[str, object], at_s: float) -> None:
    devtools.send("Input.dispatchKeyEvent", {"type": "keyDown", "timestamp": at_s, **key})
    up = {name: value for name, value in key.items() if name != "text"}
    devtools.send("Input.dispatchKeyEvent", {"type": "keyUp", "timestamp": at_s + PRESSED_S, **up})


def _key(char: str) -> dict[str, object]:
    if not char.isalnum() and char != " ":
        return {"key": char, "text": char}
    code = "Space" if char == " " else f"Digit{char}" if char.isdigit() else f"Key{char.upper()}"
    return {"key": char, "text": char, "code": code, "windowsVirtualKeyCode": ord(char.upper())}
