"""Sends each mail to the specialist whose examples it is most like. No model is asked."""

from __future__ import annotations

from graphflow import Router

from ..messages import Mail

sort_mail: Router[Mail, Mail] = Router(
    "sort_mail",
    input=Mail,
    prompt="{{ text }}",
    labels={
        "order": "the state of an order that was placed: where a parcel is, by its number",
        "price": "what a quantity of things costs",
        "question": "a question about the shop, delivery, payment, returns or opening hours",
        "chat": "a greeting, thanks or goodbye",
    },
    examples={
        "order": [
            "Where is my order 3312? It has not arrived.",
            "order number 871, when does it come?",
            "Has my parcel 2210 been sent?",
            "I ordered a lamp, number 412, and it is late.",
            "Did my return 554 reach you?",
            "Can you check on 345 for me, please?",
            "Why was order 9020 not delivered yet, what happened?",
        ],
        "price": [
            "How much are 3 pears and 2 cakes?",
            "What do five bottles of juice cost?",
            "price of 12 onions please",
            "I want two packs of flour, what is the total?",
            "We would like to order six boxes of paper, what will that cost us?",
            "The price of nine tins of paint and a brush?",
            "pepper: how much for 1 pack",
            "Total for 4 plums, one cake and 2 cups of yoghurt",
        ],
        "question": [
            "Do you ship to other countries?",
            "Can I return something that I do not like?",
            "When are you open?",
            "How can I pay?",
            "How much does delivery cost?",
            "What is your address?",
            "Do I get a guarantee?",
            "Is there a discount?",
        ],
        "chat": [
            "Hello!",
            "Thanks a lot, that was kind.",
            "Good evening, how are you?",
            "Goodbye, see you soon",
            "Many thanks",
            "Bye",
        ],
    },
)
