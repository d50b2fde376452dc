"""What every device runs: acceptor, journal, deny list, bulletins, sync. Never imports the city. DESIGN §3."""
