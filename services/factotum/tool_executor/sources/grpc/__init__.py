"""Services that describe themselves by gRPC server reflection."""
