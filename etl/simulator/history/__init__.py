"""How restore points come about and go as the clock is moved on."""
