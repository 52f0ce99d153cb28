"""The conformance suite of tools; `factotum.sdk.testing` is its door."""
