"""How models are spoken to: one module for each wire format.

Everything here is pure: `render_...` makes JSON of a request, a parser makes events of a reply, and neither reads a clock,
an environment or a socket. Vendors that share a format differ by a `Dialect` alone. A parser ignores what it does not know,
and refuses a reply that lacks what it must have: a broken answer must not pass for a short one.
"""
