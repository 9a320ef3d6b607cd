"""Sources of labelled images, as uint8 tensors in memory."""
