"""A receipt printer on a desk: real ESC/POS over TCP or a pseudo-terminal, paper as pictures, every usual trouble."""
