"""Computes what a change of its inputs changes in a view, without computing the view anew.

Only for views whose structure allows it: joins and filters, GROUP BY with sums and the like, DISTINCT and DISTINCT ON.
Every other view, and every change that a plan cannot follow, is computed in full, which is always right.
"""
