"""How well and how fast the memory finds what it should, on anyone's own data: `python -m factotum.memory.bench`."""
