"""The step executor owns memberships: it walks them, and makes their deliveries.

Everything about a contact comes to it through one topic in one order, so it has always seen a fact
before it acts on it. Deliveries are planned in that order and carried out beside it, by a consumer
group of their own, so that a slow mail server never holds up a walk.
"""
