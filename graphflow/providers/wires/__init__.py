"""How models are spoken to: one module a wire format, pure functions from requests to JSON and from JSON to events."""
