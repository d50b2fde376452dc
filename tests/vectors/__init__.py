"""Golden vectors: objects whose bytes never change, and who made them."""
