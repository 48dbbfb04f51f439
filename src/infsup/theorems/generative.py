"""Generative models and transport: identities in closed form, and bounds with both sides."""
