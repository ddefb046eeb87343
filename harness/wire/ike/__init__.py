"""IKEv1 with pre-shared keys: codec, main mode, quick mode, informational exchanges, NAT traversal. The door is `core.IkeCore`."""
