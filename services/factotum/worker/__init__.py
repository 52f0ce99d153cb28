"""The process that carries runs out: polls Temporal for workflow tasks and activities."""
