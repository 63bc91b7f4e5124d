rule = "gist"                      # want "\"rule\" is a block"
url  = "https://crm.example/leads" # want "Unsupported argument \"url\".*Outside of blocks"

webhok "crm" { # want "Unsupported block \"webhok\".*Did you mean \"webhook\"\?"
}

somethingelse { # want "Unsupported block.*There are: admin, database, defaults"
}

rules { # want "\"rules\" is an argument.*rules = "
}
