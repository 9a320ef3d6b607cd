"""Devices, precision and compilation."""
