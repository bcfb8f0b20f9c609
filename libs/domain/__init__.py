"""What a flow means. Pure: no input or output, no clock, no chance of its own.

The words used everywhere, in code, tables, topics, documents and metrics:

contact     a person upstream systems know, by its id
list        a named set of contacts, kept by hand (static)
event       a fact about a contact, published by an upstream system
activity    what a contact did, or what became of a mail to it, as rules count it; under a metric
flow        a definition: triggers that let contacts in and a graph of steps
trigger     which events let a contact into a flow
step        one thing a flow does: send, wait, branch, leave
edge        the link from a step to the next, by a name
guard       a rule of a whole flow that keeps contacts out, or drops them
definition  a flow in the engine's language; a document is how its author wrote it, in a dialect
rule        a tree of groups and conditions, judged on the snapshot about a contact
membership  one contact's one run through one flow
enrollment  the act of becoming a member
delivery    one outbound e-mail (later: webhook, SMS)
timer       a durable wake-up
workspace   the tenant
hop         how often a membership has stood still; commands name the hop they mean
"""
