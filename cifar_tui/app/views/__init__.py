"""What fills the terminal below the tabs."""
