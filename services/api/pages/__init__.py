"""What visitors of web pages fetch. No key: whoever has the address may look."""
