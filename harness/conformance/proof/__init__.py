"""What the suite is worth: mutants, specimens, false alarms."""
