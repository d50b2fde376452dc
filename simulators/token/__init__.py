"""A token that can be pulled, slowed and spoiled by name: a PKCS #11 module between a program and SoftHSM."""
