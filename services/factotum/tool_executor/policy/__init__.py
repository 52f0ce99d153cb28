"""Permission: who may call which tool, decided by Cedar policies. Pure but for `folder`, which reads files."""
