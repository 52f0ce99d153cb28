"""What every process shares, a closed list: settings, secrets, telemetry, logs, gRPC, lifespan, clock."""
