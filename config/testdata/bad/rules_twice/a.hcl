# alone: rules in two files would be merged
rules = "gist"

database {
  url = "localhost" # want "Invalid \"url\".*connection string"
}

admin {
  listen = "[::1]:99999" # want "Invalid \"listen\""
  tokn   = "x"           # want "Did you mean \"token\"\?"
}
