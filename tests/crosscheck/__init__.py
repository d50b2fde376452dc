"""What another implementation says about our objects."""
