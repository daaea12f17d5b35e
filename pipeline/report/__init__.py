"""Pictures and pages made from archived frames."""
