"""What a person does with the codec: plain functions on files. Knows nothing of Prefect."""
