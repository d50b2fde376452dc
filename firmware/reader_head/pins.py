"""Every pin and its wiring, in one place. Numbers in brackets: the board's, Pico W datasheet, figure 2. DESIGN §3.

Power: the cable's 5 V at VBUS (40) feeds the ring; its ground and the board's meet at GND (38). 1000 µF between them
keeps a full green ring from pulling VBUS down; 24 pixels at `BRIGHTNESS_DAY` draw less than 400 mA of the port's 500.
"""

from firmware.link.const import const

RING = const(2)  # GP2 (4) -> 74AHCT125 on 5 V (a WS2812 wants 3.5 V for a one) -> 330 ohm -> data in of the ring
SCANNER_TX = const(4)  # GP4 (6), UART1 TX -> RX of the scanner; 3.3 V levels
SCANNER_RX = const(5)  # GP5 (7), UART1 RX <- TX of the scanner; through a divider if it speaks 5 V
BUZZER = const(6)  # GP6 (9), PWM 3A -> 1 kilohm -> base of a 2N3904 that switches a passive piezo at 5 V
BUTTON_1 = const(10)  # GP10 (14), to GND (13) when pressed; the pin pulls up
BUTTON_2 = const(11)  # GP11 (15), to GND (13) when pressed; the pin pulls up
TAMPER = const(12)  # GP12 (16), to GND (18) while the cover is closed: a cut wire reads as open
LINK_LED = "LED"  # the board's own, behind the radio chip

PIXELS = const(24)
SCANNER_UART = const(1)
SCANNER_BAUD = const(115200)
SCANNER_BUFFER_BYTES = const(2048)  # three of our largest codes while the terminal is busy
UART1_ERRORS = const(0x40038004)  # UARTRSR of UART1, RP2040 datasheet 4.2.8: bit 3 is set when bytes were lost
UART_OVERRUN = const(8)
# SCRATCH0 of the watchdog, RP2040 datasheet 4.7.4 and 4.7.6: kept over a reset, zero after power was off. The boot ROM
# and MicroPython's own reset use 4 to 7 alone (2.8.1.1).
SERVICE_REGISTER = const(0x4005800C)
SERVICE_WANTED = const(0x0B6E7A11)
RESTART_ASKED = const(0x0B6E7A12)  # the bench resets the board itself: neither a fault nor its watchdog
WATCHDOG_MS = const(5000)  # the chip's longest is 8388; a write to a stuck cable may take 500
