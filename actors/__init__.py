"""The rooms of the house: one module or small package per agent, and the node's tree as data."""
