"""The language of plans: Open Workflow (Serverless Workflow) DSL 1.0 documents. Pure: no I/O, no Temporal."""
