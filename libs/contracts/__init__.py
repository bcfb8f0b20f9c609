"""What services say to each other: topics, keys and messages. One file per topic.

Messages are read tolerantly (unknown fields are ignored, so that old readers survive new writers)
and written strictly. Everything about a contact is keyed by the contact's id.
"""
