"""One run in several processes, as torchrun starts them."""
