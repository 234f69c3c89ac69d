"""How a simulated run is shown: as text, records, summary or picture."""
