"""The planner: which procedures an event starts, checked before they start."""
