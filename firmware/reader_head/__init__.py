"""The reader head: MicroPython for the RP2040 of a Raspberry Pi Pico W. Lamps, sounds, buttons and a cable; it never
reads a payment and decides nothing. `firmware/README.md` says how it is wired and put on a board. DESIGN §3.
"""
