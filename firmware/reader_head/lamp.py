"""The ring and the buzzer: shows one state, step by step, and plays its sound once. DESIGN §5.

The pixels are written only when they change: the RP2040 sends them with interrupts off (0.7 ms for 24), which the
32 bytes of the scanner's port bridge at 115200 baud.
"""

from firmware.link.const import const
from firmware.link.window import elapsed_ms
from firmware.reader_head.lights import BRIGHTNESS_DAY, FINDING, LIGHTS, SOUND_FINDING, SOUNDS
from firmware.reader_head.pins import PIXELS

_LOUD = const(32768)  # duty of half
_QUIET = const(0)


class Lamp:
    # `ring` is a neopixel.NeoPixel, `buzzer` a machine.PWM.
    def __init__(self, ring, buzzer) -> None:
        self._ring = ring
        self._buzzer = buzzer
        self._brightness = BRIGHTNESS_DAY
        self.state = 0
        self._began_ms = 0
        self._shown = (-1, -1)
        self._sound = ()
        self._note = 0
        self._note_ms = 0
        self._found_ms = 0
        self._find_for_ms = 0

    def show(self, state: int, now_ms: int, aloud: bool) -> None:
        # Returns when the pixels are on.
        self.state = state
        self._began_ms = now_ms
        self._find_for_ms = 0
        self._draw(LIGHTS[state], 0)
        if aloud:
            self._play(SOUNDS[state], now_ms)

    def dim(self, brightness: int) -> None:
        if brightness != self._brightness:
            self._brightness = brightness
            self._shown = (-1, -1)

    def identify(self, blink_ms: int, now_ms: int) -> None:
        self._found_ms = now_ms
        self._find_for_ms = blink_ms
        self._play(SOUND_FINDING, now_ms)

    def tick(self, now_ms: int) -> None:
        # The next step of pattern and sound, if its time has come.
        self._step_sound(now_ms)
        light, began_ms = LIGHTS[self.state], self._began_ms
        if self._find_for_ms:
            if elapsed_ms(now_ms, self._found_ms) < self._find_for_ms:
                light, began_ms = FINDING, self._found_ms
            else:
                self._find_for_ms = 0
        step_ms, steps = light[2], light[3]
        self._draw(light, elapsed_ms(now_ms, began_ms) // step_ms % len(steps) if step_ms else 0)

    def _draw(self, light, step: int) -> None:
        shown = (id(light), step)
        if shown == self._shown:
            return
        self._shown = shown
        one, two = self._dimmed(light[0]), self._dimmed(light[1])
        mask_one, mask_two = light[3][step]
        ring = self._ring
        for pixel in range(PIXELS):
            ring[pixel] = one if mask_one >> pixel & 1 else two if mask_two >> pixel & 1 else (0, 0, 0)
        ring.write()

    def _dimmed(self, colour):
        scale = self._brightness
        return colour[0] * scale // 255, colour[1] * scale // 255, colour[2] * scale // 255

    def _play(self, sound, now_ms: int) -> None:
        self._sound = sound
        self._note = 0
        self._note_ms = now_ms
        self._start_note()

    def _step_sound(self, now_ms: int) -> None:
        if self._note < len(self._sound) and elapsed_ms(now_ms, self._note_ms) >= self._sound[self._note][1]:
            self._note += 1
            self._note_ms = now_ms
            self._start_note()

    def _start_note(self) -> None:
        hertz = self._sound[self._note][0] if self._note < len(self._sound) else 0
        if hertz:
            self._buzzer.freq(hertz)
        self._buzzer.duty_u16(_LOUD if hertz else _QUIET)
