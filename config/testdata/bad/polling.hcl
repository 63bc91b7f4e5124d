outbox {
  mode          = "polling"
  publication   = "walpost" # want "\"publication\" with polling.*no publication"
  poll_interval = "1ms"     # want "Invalid \"poll_interval\""
}
