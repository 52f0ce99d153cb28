"""The rules that a document must keep before it may run, a topic a module; `procedures.check` brings them together."""
