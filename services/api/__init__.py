"""The API: HTTP in, read models out.

It owns definitions (flows, mails, keys) and the built-in directory of contacts, and it follows what
happens to memberships. Dialects translate HTTP into use cases; use cases know no HTTP.
"""
