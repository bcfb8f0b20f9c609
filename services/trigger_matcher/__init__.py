"""The trigger matcher: contact events in, observe commands out.

It is the one door for events from outside: it checks them, drops repeats, and forwards each as one
`observe` command to our own partition of its contact, with the flows it starts.
"""
