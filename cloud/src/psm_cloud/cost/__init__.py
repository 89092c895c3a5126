"""What an environment costs a month: a pure function of its plan, a price table and its stated load."""
