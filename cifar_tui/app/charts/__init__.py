"""Drawing: plain data, a size and a theme in, text out."""
