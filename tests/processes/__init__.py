"""Real programs as processes: killed, misconfigured, cut off."""
