"""Laboratories of routers that are configured and asked by their command line, and judged by what crosses the wires about them."""
