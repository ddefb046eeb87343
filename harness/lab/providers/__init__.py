"""Lab providers: who brings up the nodes that a testbed names. One interface (`provider.Provider`), one module a provider."""
