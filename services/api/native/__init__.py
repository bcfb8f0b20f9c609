"""The native dialect: seed 003, `/v1/email-flows` and what it leans on."""
