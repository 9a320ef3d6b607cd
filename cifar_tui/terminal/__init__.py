"""How the process uses, leaves and loses its terminal; imports no other part of the package."""
