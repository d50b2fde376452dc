"""A simulated card: the wallet applet as pure logic, its purse in a file, and a virtual card for a real pcscd."""
