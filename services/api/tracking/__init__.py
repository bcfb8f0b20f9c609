"""Links in mails: the open pixel, clicks, unsubscribing. They become contact events."""
