"""The city's service: enrolment, posting, store, log, HTTP. Never imports the terminal. DESIGN §8."""
