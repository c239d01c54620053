"""The verbs that belong to no package of their own, and what all verbs have in common; `table` lists them."""
