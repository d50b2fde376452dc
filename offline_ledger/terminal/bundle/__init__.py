"""One file for whoever helps from afar: how a terminal is, without keys and without customers. DESIGN §1, §6."""
