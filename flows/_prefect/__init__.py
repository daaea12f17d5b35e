"""What only serves Prefect."""
