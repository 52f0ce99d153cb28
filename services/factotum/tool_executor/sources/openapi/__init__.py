"""Sources of the kind openapi: operations of an OpenAPI 3.0 or 3.1 document become tools."""
