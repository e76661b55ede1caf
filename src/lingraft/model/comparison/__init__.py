"""The two texts of a pair compared: what corresponds, how alike it is, and in which order it stands.

A network that reads both texts in one sequence has to learn comparing from the labels, which a few hundred do not
teach it. What corresponds shows in frozen states already, in any language; a classifier on a few dozen numbers that
say so learns from a hundred labels, and is ensembled with the network.
"""
