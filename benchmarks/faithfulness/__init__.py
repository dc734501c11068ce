"""How faithful each method's explanations are, beside what each costs."""
