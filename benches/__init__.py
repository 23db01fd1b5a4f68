"""Speed claims, measured again beside the peer they are about: `pytest benches/`."""
