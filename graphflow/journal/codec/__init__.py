"""How what a row tells becomes JSON and comes back exactly. Nothing is pickled, and no data names code to import."""
