"""The native dialect: `/v1/email-flows` and what it leans on. README.md says what it promises."""
