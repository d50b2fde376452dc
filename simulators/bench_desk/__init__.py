"""A technician's bench without hardware: boards to plug in, press and pull, and a city. DESIGN §11."""
