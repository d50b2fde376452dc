"""What each state looks and sounds like: tables only. FIELD_LESSONS 21; DESIGN §5.

No two states share a colour, a shape or a sound, and green belongs to *accepted* alone. Shapes are masks of 24 pixels,
bit 0 at the top, on clockwise. Nothing blinks faster than three times a second (WCAG 2.3.1).
"""

from firmware.link import messages
from firmware.link.const import const

BRIGHTNESS_DAY = const(160)  # of 255; see the current in `pins.py`
BRIGHTNESS_NIGHT = const(24)

FULL = const(0xFFFFFF)
_RIGHT = const(0x000FFF)
_LEFT = const(0xFFF000)
_CROSS = const(0x1C71C7)  # three pixels at each end of an X

# State: first colour, second colour, milliseconds a step, steps of (mask in first colour, mask in second).
_NONE = (0, 0, 0)
LIGHTS = {
    messages.WAIT: ((200, 200, 200), _NONE, 0, ((0x041041, 0),)),  # four dots
    messages.READING: (  # an arc of six that runs round
        (0, 0, 255),
        _NONE,
        60,
        tuple([((0x3F << at | 0x3F >> (24 - at)) & 0xFFFFFF, 0) for at in range(0, 24, 2)]),
    ),
    messages.ACCEPTED: ((0, 255, 0), _NONE, 0, ((FULL, 0),)),  # the whole ring
    messages.ACCEPTED_CASH_DUE: (  # right half green, left half amber, which blinks
        (0, 255, 0),
        (255, 150, 0),
        250,
        ((_RIGHT, _LEFT), (_RIGHT, 0)),
    ),
    messages.ALREADY_ACCEPTED: ((150, 0, 255), _NONE, 0, ((0x03F03F, 0),)),  # two arcs
    messages.REFUSED: ((255, 0, 0), _NONE, 200, ((_CROSS, 0), (0, 0))),  # a blinking cross
    messages.TRY_AGAIN: ((255, 110, 0), _NONE, 180, ((0x01FF00, 0), (0x07FFC0, 0))),  # grows from the lower edge
    messages.OUT_OF_SERVICE: ((120, 10, 0), _NONE, 1000, ((0x003800, 0), (0x001000, 0))),  # a spot at the bottom
    messages.TRAINING: ((255, 0, 120), _NONE, 400, ((0x555555, 0), (0xAAAAAA, 0))),  # dashes that change places
    messages.LOCKED: ((0, 80, 160), _NONE, 0, ((0xE0000F, 0),)),  # a cap at the top
}
FINDING = ((100, 100, 100), _NONE, 250, ((FULL, 0), (0, 0)))  # "here I am"; all white at full would draw 0.9 A

# State: (hertz, milliseconds) in turn; 0 Hz is a pause. Only WAIT is silent.
SOUNDS = {
    messages.WAIT: (),
    messages.READING: ((2093, 20),),
    messages.ACCEPTED: ((1319, 90), (1976, 160)),
    messages.ACCEPTED_CASH_DUE: ((1319, 90), (1976, 120), (0, 60), (2637, 50), (0, 50), (2637, 50)),
    messages.ALREADY_ACCEPTED: ((880, 120), (0, 60), (880, 120)),
    messages.REFUSED: ((220, 180), (0, 70), (220, 180), (0, 70), (220, 260)),
    messages.TRY_AGAIN: ((988, 130), (659, 200)),
    messages.OUT_OF_SERVICE: ((165, 700),),
    messages.TRAINING: ((784, 70), (988, 70), (784, 70)),
    messages.LOCKED: ((523, 120), (392, 120)),
}
SOUND_FINDING = ((2637, 80), (0, 170), (2637, 80))
