"""What an author of tools imports. Depends on pydantic, idna and on nothing else of Factotum.

This file stays free of imports: the Temporal sandbox passes the package through.
Import from the modules: `factotum.sdk.tool`, `factotum.sdk.context`, `factotum.sdk.errors`.
"""
