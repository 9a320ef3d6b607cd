"""How a process leaves and loses its terminal, and how it is tuned."""
