"""Pictures of a posed body with exact labels, rendered on a CPU."""
