"""The tool executor: carries out one call of one tool, its effect once."""
