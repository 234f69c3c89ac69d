"""The forms in which a simulated run is shown: transcript, JSON, summary or picture."""
