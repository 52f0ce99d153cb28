"""Files beneath folders that an operator names."""
