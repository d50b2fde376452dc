"""Where a device's key lives: behind the `Signer` port. DESIGN §3."""
