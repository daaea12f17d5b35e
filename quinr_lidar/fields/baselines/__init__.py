"""Fields that quINR is compared with."""
