"""The city's signed releases: packages, and the TUF metadata that says which of them a terminal may take. DESIGN §3.

The release officers' side; a terminal's is `offline_ledger.terminal.updates`. Never talks to a terminal.
"""
