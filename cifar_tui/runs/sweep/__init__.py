"""Many runs: a plan over settings and seeds, and what works through it."""
