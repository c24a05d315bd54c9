"""A model's answer becomes a verdict: is it the gold answer?"""
