"""Cards over a real pcscd: the driver, the applet, and every way a tap breaks off."""
