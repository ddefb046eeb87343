"""What is judged in a laboratory of routers: pure, from `Evidence` whose devices were configured by their command line."""
