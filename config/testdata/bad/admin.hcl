admin {
  listen = ":8710" # want "Missing argument \"token\".*127.0.0.1:8710"
}
