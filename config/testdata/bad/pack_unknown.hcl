rules = "gits" # want "Invalid \"rules\".*Did you mean \"gist\"\?"
