"""The technician's bench, against boards, drives and cards that behave. DESIGN §11."""
