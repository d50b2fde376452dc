"""Updates of the terminal."""
