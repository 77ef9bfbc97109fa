"""``dragoman demo``: the shipped site with simulated partners, a few things going wrong, and their mending."""
