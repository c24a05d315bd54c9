"""What methods there are: registry, named variants, the drift ledger, pages."""
