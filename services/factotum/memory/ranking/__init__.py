"""Which of the records that two searches found answer a question best. Pure; one idea a module."""
